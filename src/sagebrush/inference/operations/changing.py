"""What every operation that updates an endpoint asks first, and how an update is recorded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.inference.model import revisions, wording
from sagebrush.inference.model.revisions import Revision
from sagebrush.inference.model.states import IN_PROGRESS, Event, Status
from sagebrush.inference.resources import ENDPOINT
from sagebrush.substrate.calls import Call
from sagebrush.substrate.resources import Row, fetch, transition


def serving(tx: Connection, call: Call, name: str) -> tuple[Row, Revision]:
    """The endpoint, which is in service, and what it serves. Raises ValidationException where it is not."""
    row = fetch(tx, ENDPOINT, call.account, call.region, name)
    if row.status in IN_PROGRESS:
        raise wording.in_progress(row.arn)
    current = revisions.read(row.body.get("current"))
    if row.status == Status.FAILED or current is None:
        raise wording.failed(row.arn)
    return row, current


def begin_update(tx: Connection, call: Call, row: Row, coming: Revision, changes: dict[str, Any]) -> None:
    """Record that the endpoint is to serve ``coming``; what an earlier update said is forgotten."""
    body = {"next": coming.document(), "failure_reason": None, **changes}
    transition(tx, ENDPOINT, row, Event.UPDATE, now_us=call.platform.clock.now_us(), changes=body, call=call)
