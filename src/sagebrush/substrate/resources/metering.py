"""Meter rows: what a resource used, from when to when, written with the transitions that change it."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, select, update

from sagebrush.substrate.resources.documents import encode
from sagebrush.substrate.resources.resource import Resource, Row
from sagebrush.substrate.resources.tables import meters
from sagebrush.substrate.resources.ulids import new_ulid

_OPEN = select(meters.c.id).where(meters.c.resource_id == bindparam("of"), meters.c.ended_us.is_(None))
_CLOSE = update(meters).where(meters.c.id == bindparam("closed")).values(ended_us=bindparam("now"))
_INSERT = insert(meters)


def measure(tx: Connection, resource: Resource, row: Row, secondary: str | None, now_us: int) -> None:
    """Begin the interval that a transition opens, ending the one before.

    A terminal state's row, where the declaration gives one, has no length: it carries final figures.
    """
    if resource.meter is None:
        return
    stop_measuring(tx, row.id, now_us)
    attributes = resource.meter(row)
    if attributes is None:
        return
    tx.execute(
        _INSERT,
        {
            "id": new_ulid(now_us),
            "account": row.account,
            "region": row.region,
            "kind": row.kind,
            "resource_arn": row.arn,
            "resource_id": row.id,
            "status": row.status,
            "secondary": secondary,
            "started_us": now_us,
            "ended_us": now_us if row.status in resource.machine.terminal else None,
            "attributes": encode(attributes),
        },
    )


def stop_measuring(tx: Connection, resource_id: str, now_us: int) -> None:
    """End the open interval, if there is one."""
    opened = tx.execute(_OPEN, {"of": resource_id}).scalar()
    if opened is not None:
        tx.execute(_CLOSE, {"closed": opened, "now": now_us})
