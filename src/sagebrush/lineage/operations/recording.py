"""What all records of lineage share: who made them, and that an associated one stays."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.lineage import tables
from sagebrush.lineage.model.changes import changes_of
from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources import Row, soft_delete, update_body


def made_by(call: Call) -> dict[str, Any]:
    """The caller as a UserContext."""
    return {"IamIdentity": {"Arn": call.principal.arn, "PrincipalId": call.principal.user_id}}


def body_of(call: Call, request: dict[str, Any], *, without: str = "") -> dict[str, Any]:
    """A new record's body: what was given, and by whom."""
    kept = {member: value for member, value in request.items() if member not in {without, "Tags"}}
    return kept | {"CreatedBy": made_by(call), "LastModifiedBy": made_by(call)}


def change(tx: Connection, call: Call, row: Row, request: dict[str, Any]) -> Row:
    """Apply an Update. Raises ValidationException for too many properties."""
    changes = changes_of(row.body, request) | {"LastModifiedBy": made_by(call)}
    return update_body(tx, row, changes, now_us=call.platform.clock.now_us())


def take_away(tx: Connection, call: Call, row: Row) -> str:
    """Delete a record; its ARN. Raises ValidationException while it is associated with another."""
    if tables.is_associated(tx, row.arn):
        raise validation(f"{row.arn} cannot be deleted while it has associations. Delete those first.")
    soft_delete(tx, row, now_us=call.platform.clock.now_us())
    return row.arn
