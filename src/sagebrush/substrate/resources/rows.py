"""Reading resources, and the one guarded way of writing a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy import Row as SqlRow

from sagebrush.substrate.resources.documents import decode, encode
from sagebrush.substrate.resources.lease import Conflict, Lease, LeaseLost
from sagebrush.substrate.resources.resource import Resource, Row
from sagebrush.substrate.resources.tables import resources

_C = resources.c
COLUMNS = (
    *(_C.id, _C.account, _C.region, _C.kind, _C.name, _C.arn, _C.status, _C.created_us, _C.modified_us),
    *(_C.generation, _C.lease_token, _C.body, _C.parent, _C.wakes),
)
_LIVING = select(*COLUMNS).where(_C.deleted_us.is_(None))
_BY_NAME = _LIVING.where(
    _C.account == bindparam("account"),
    _C.region == bindparam("region"),
    _C.kind == bindparam("kind"),
    _C.parent == bindparam("parent"),
    _C.name == bindparam("name"),
)
_BY_ID = _LIVING.where(_C.id == bindparam("id"))
_BY_ARN = _LIVING.where(_C.arn == bindparam("arn"))
_BY_OWNER = select(*COLUMNS).where(_C.owner_token == bindparam("owner"), _C.kind == bindparam("kind"))
_LEASE = select(_C.lease_token, _C.lease_owner).where(_C.id == bindparam("id"))


def fetch(connection: Connection, resource: Resource, account: str, region: str, name: str, parent: str = "") -> Row:
    """The resource of that name (in its parent). Raises the noun's own "not found" error."""
    row = find(connection, resource, account, region, name, parent)
    if row is None:
        raise resource.missing(name, resource.arn(account, region, name, parent))
    return row


def find(
    connection: Connection, resource: Resource, account: str, region: str, name: str, parent: str = ""
) -> Row | None:
    """The living resource of that name (in its parent)."""
    where = {"account": account, "region": region, "kind": resource.kind, "parent": parent, "name": name}
    return _first(connection, _BY_NAME, **where)


def fetch_by_id(connection: Connection, resource_id: str) -> Row | None:
    """The living resource with that id."""
    return _first(connection, _BY_ID, id=resource_id)


def fetch_by_arn(connection: Connection, arn: str) -> Row | None:
    """The living resource with that ARN."""
    return _first(connection, _BY_ARN, arn=arn)


def made_by(connection: Connection, resource: Resource, owner_token: str) -> Row | None:
    """What the first call with this owner token made, even if it was deleted since."""
    return _first(connection, _BY_OWNER, owner=owner_token, kind=resource.kind)


def to_row(row: SqlRow[*tuple[Any, ...]]) -> Row:
    """A row of ``COLUMNS`` as the value the code works with."""
    return Row(
        id=row.id,
        account=row.account,
        region=row.region,
        kind=row.kind,
        name=row.name,
        arn=row.arn,
        status=row.status,
        created_us=row.created_us,
        modified_us=row.modified_us,
        generation=row.generation,
        lease_token=row.lease_token,
        body=decode(row.body),
        parent=row.parent,
        wakes=row.wakes,
    )


def merged(body: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """A body with changes; None removes."""
    after = dict(body) | dict(changes or {})
    return {key: value for key, value in after.items() if value is not None}


def change(tx: Connection, before: Row, after: Row, lease: Lease | None, values: Mapping[str, Any]) -> None:
    """Write ``after`` and ``values`` if nobody else changed the row meanwhile. Raises LeaseLost or Conflict."""
    where = (_C.id == before.id) & (_C.generation == before.generation) & _C.deleted_us.is_(None)
    if lease is not None:
        where &= (_C.lease_token == lease.token) & (_C.lease_owner == lease.owner)
    new: dict[str, Any] = {"generation": after.generation, "modified_us": after.modified_us, "wakes": after.wakes}
    if after.body is not before.body:
        new["body"] = encode(after.body)
    if tx.execute(update(resources).where(where).values(**new, **values)).rowcount == 1:
        return
    current = tx.execute(_LEASE, {"id": before.id}).first()
    if lease is not None and (current is None or tuple(current) != (lease.token, lease.owner)):
        raise LeaseLost(f"{before.arn}: lease {lease.token} was taken over")
    raise Conflict(f"{before.arn} changed since generation {before.generation}")


def _first(connection: Connection, statement: Any, **values: Any) -> Row | None:
    row = connection.execute(statement, values).first()
    return None if row is None else to_row(row)
