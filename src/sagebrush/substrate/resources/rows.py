"""Reading and changing resources. Only :func:`transition` writes a status."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update
from sqlalchemy import Row as SqlRow
from sqlalchemy import insert as sql_insert

from sagebrush.substrate import faultpoints
from sagebrush.substrate.errors import Fault
from sagebrush.substrate.resources.resource import Resource, Row, encode
from sagebrush.substrate.resources.tables import history, meters, outbox, resources, tags
from sagebrush.substrate.resources.ulids import new_ulid

if TYPE_CHECKING:
    from sagebrush.substrate.calls import Call

BODY_VERSION = 1
AFTER_STATUS = faultpoints.declare("resources.after-status-before-event")


class LeaseLost(Fault):
    """Somebody else works on the row now; whatever was computed must not be recorded."""


class Conflict(Fault):
    """The row changed since it was read; load it again."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one resource; ``token`` is the fencing number that grows with every taking."""

    resource_id: str
    owner: str
    token: int


def insert(
    tx: Connection,
    resource: Resource,
    *,
    call: Call,
    name: str,
    body: Mapping[str, Any],
    tags: Sequence[Mapping[str, str]] = (),
    parent: str | None = None,
    secondary: str | None = None,
    message: str = "",
    wake: bool = True,
) -> Row:
    """Create a resource in its machine's initial state, with history, event and meter row.

    With an owner token on the call, a repeat returns the row the first call made. Raises the noun's own "already
    exists" error. ``wake`` False leaves the reconcile loop alone.
    """
    owner_token = str(call.owner) if call.owner else None
    if owner_token and (first := _one(tx, resources.c.owner_token == owner_token)):
        return first
    arn = resource.arn(call.account, call.region, name)
    if _one(tx, _named(resource, call.account, call.region, name)):
        raise resource.existing(name, arn)
    now = call.platform.clock.now_us()
    status = resource.machine.initial
    row = Row(
        id=new_ulid(now),
        account=call.account,
        region=call.region,
        kind=resource.kind,
        name=name,
        arn=arn,
        status=status,
        created_us=now,
        modified_us=now,
        generation=1,
        lease_token=0,
        body=body,
        parent=parent,
    )
    living = wake and status not in resource.machine.terminal
    tx.execute(
        sql_insert(resources).values(
            id=row.id,
            account=row.account,
            region=row.region,
            kind=row.kind,
            name=name,
            parent=parent,
            arn=arn,
            status=status,
            created_us=now,
            modified_us=now,
            generation=1,
            owner_token=owner_token,
            lease_token=0,
            wake_at_us=now if living else None,
            body=encode(body),
            body_version=BODY_VERSION,
        )
    )
    _put_tags(tx, row.id, tags)
    open_history(tx, row, status=status, secondary=secondary, message=message, now_us=now)
    _record(tx, resource, row, secondary, now, causation=call.request_id)
    if living:
        call.platform.store.after_commit(lambda: call.platform.wakeups.notify(row.id))
    return row


def _put_tags(tx: Connection, resource_id: str, pairs: Sequence[Mapping[str, str]]) -> None:
    if pairs:
        rows = [{"resource_id": resource_id, "key": t["Key"], "value": t.get("Value", "")} for t in pairs]
        tx.execute(sql_insert(tags), rows)


def fetch(connection: Connection, resource: Resource, account: str, region: str, name: str) -> Row:
    """The resource of that name. Raises the noun's own "not found" error."""
    row = _one(connection, _named(resource, account, region, name))
    if row is None:
        raise resource.missing(name, resource.arn(account, region, name))
    return row


def fetch_by_id(connection: Connection, resource_id: str) -> Row | None:
    """The living resource with that id."""
    return _one(connection, (resources.c.id == resource_id) & resources.c.deleted_us.is_(None))


def fetch_by_arn(connection: Connection, arn: str) -> Row | None:
    """The living resource with that ARN."""
    return _one(connection, (resources.c.arn == arn) & resources.c.deleted_us.is_(None))


def transition(
    tx: Connection,
    resource: Resource,
    row: Row,
    event: str,
    *,
    now_us: int,
    lease: Lease | None = None,
    secondary: str | None = None,
    message: str = "",
    changes: Mapping[str, Any] | None = None,
    call: Call | None = None,
) -> Row:
    """Move a resource along its state machine: status, history, event and meter row in one transaction.

    A reconciler passes its ``lease``, an operation its ``call`` (the reconcile loop is then woken after the commit).
    ``changes`` are merged into the body (a value of None removes the member). Raises LeaseLost, Conflict or
    IllegalTransition; then nothing happened.
    """
    status = resource.machine.next(row.status, event)
    body = merged(row.body, changes)
    after = replace(row, status=status, body=body, modified_us=now_us, generation=row.generation + 1)
    values: dict[str, Any] = {"status": status}
    if status in resource.machine.terminal:
        values |= {"wake_at_us": None, "lease_owner": None, "lease_until_us": None}
    elif lease is None:
        # Somebody outside the loop changed what it works on: let it look at once.
        values["wake_at_us"] = now_us
    if call is not None:
        platform = call.platform
        platform.store.after_commit(lambda: platform.wakeups.notify(row.id))
    _change(tx, row, after, lease, values)
    close_history(tx, row.id, now_us)
    ended = now_us if status in resource.machine.terminal else None
    open_history(tx, after, status=status, secondary=secondary, message=message, now_us=now_us, ended_us=ended)
    faultpoints.reach(AFTER_STATUS)
    causation = call.request_id if call else f"{row.id}#{lease.token if lease else 0}"
    _record(tx, resource, after, secondary, now_us, causation=causation)
    return after


def update_body(
    tx: Connection,
    row: Row,
    changes: Mapping[str, Any],
    *,
    now_us: int,
    lease: Lease | None = None,
    message: str | None = None,
) -> Row:
    """Merge changes into the body without a change of status; ``message`` replaces the open history entry's."""
    after = replace(row, body=merged(row.body, changes), modified_us=now_us, generation=row.generation + 1)
    _change(tx, row, after, lease, {})
    if message is not None:
        open_entry = (history.c.resource_id == row.id) & history.c.ended_us.is_(None)
        tx.execute(update(history).where(open_entry).values(message=message))
    return after


def soft_delete(tx: Connection, row: Row, *, now_us: int) -> None:
    """Take a resource away; its history, events and meter rows stay."""
    where = (resources.c.id == row.id) & (resources.c.generation == row.generation)
    gone = tx.execute(
        update(resources).where(where).values(deleted_us=now_us, wake_at_us=None, owner_token=None, modified_us=now_us)
    )
    if gone.rowcount != 1:
        raise Conflict(f"{row.arn} changed while it was being deleted")


def transitions_of(connection: Connection, resource_id: str) -> list[dict[str, Any]]:
    """The history in order: status, secondary, message, started_us, ended_us (None while open)."""
    rows = connection.execute(
        select(history).where(history.c.resource_id == resource_id).order_by(history.c.sequence)
    ).mappings()
    return [dict(row) for row in rows]


def open_history(
    tx: Connection,
    row: Row,
    *,
    status: str,
    secondary: str | None,
    message: str,
    now_us: int,
    ended_us: int | None = None,
) -> None:
    """Begin a history entry."""
    last = tx.execute(
        select(history.c.sequence).where(history.c.resource_id == row.id).order_by(history.c.sequence.desc()).limit(1)
    ).scalar()
    tx.execute(
        sql_insert(history).values(
            resource_id=row.id,
            sequence=(last or 0) + 1,
            status=status,
            secondary=secondary,
            message=message,
            started_us=now_us,
            ended_us=ended_us,
        )
    )


def close_history(tx: Connection, resource_id: str, now_us: int) -> None:
    """End the open history entry, if there is one."""
    open_entry = (history.c.resource_id == resource_id) & history.c.ended_us.is_(None)
    tx.execute(update(history).where(open_entry).values(ended_us=now_us))


def merged(body: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """A body with changes; None removes."""
    after = dict(body) | dict(changes or {})
    return {key: value for key, value in after.items() if value is not None}


def to_row(row: SqlRow[Any]) -> Row:
    """A row of the table as the value the code works with."""
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
        body=json.loads(row.body),
        parent=row.parent,
    )


def _named(resource: Resource, account: str, region: str, name: str) -> Any:
    c = resources.c
    return (
        (c.account == account)
        & (c.region == region)
        & (c.kind == resource.kind)
        & (c.name == name)
        & c.deleted_us.is_(None)
    )


def _one(connection: Connection, where: Any) -> Row | None:
    row = connection.execute(select(resources).where(where)).first()
    return None if row is None else to_row(row)


def _change(tx: Connection, before: Row, after: Row, lease: Lease | None, values: Mapping[str, Any]) -> None:
    """Write the row if nobody else did meanwhile."""
    where = (resources.c.id == before.id) & (resources.c.generation == before.generation)
    if lease is not None:
        where &= (resources.c.lease_token == lease.token) & (resources.c.lease_owner == lease.owner)
    changed = tx.execute(
        update(resources)
        .where(where)
        .values(generation=after.generation, modified_us=after.modified_us, body=encode(after.body), **values)
    )
    if changed.rowcount == 1:
        return
    current = tx.execute(
        select(resources.c.lease_token, resources.c.lease_owner).where(resources.c.id == before.id)
    ).first()
    if lease is not None and (current is None or tuple(current) != (lease.token, lease.owner)):
        raise LeaseLost(f"{before.arn}: lease {lease.token} was taken over")
    raise Conflict(f"{before.arn} changed since generation {before.generation}")


def _record(
    tx: Connection, resource: Resource, row: Row, secondary: str | None, now_us: int, *, causation: str
) -> None:
    """The outbox event and the meter row of a transition."""
    detail = resource.describe(row, transitions_of(tx, row.id))
    tx.execute(
        sql_insert(outbox).values(
            id=str(uuid.uuid4()),
            account=row.account,
            region=row.region,
            source=resource.event_source,
            detail_type=resource.detail_type,
            time_us=now_us,
            resource_arn=row.arn,
            causation_id=causation[:64],
            detail=json.dumps(detail, default=_jsonable, separators=(",", ":")),
        )
    )
    if resource.meter is not None:
        tx.execute(
            sql_insert(meters).values(
                id=new_ulid(now_us),
                account=row.account,
                region=row.region,
                resource_arn=row.arn,
                status=row.status,
                secondary=secondary,
                time_us=now_us,
                attributes=encode(resource.meter(row)),
            )
        )


def _jsonable(value: Any) -> Any:
    """Datetimes in events are epoch seconds with milliseconds, as SageMaker's events carry them."""
    if hasattr(value, "timestamp"):
        return round(value.timestamp() * 1000)
    raise TypeError(f"{type(value).__name__} in an event")
