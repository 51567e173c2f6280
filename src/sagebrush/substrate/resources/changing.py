"""Creating, moving and removing resources. Only :func:`transition` writes a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy import insert as sql_insert

from sagebrush.substrate import faultpoints
from sagebrush.substrate.events import emit
from sagebrush.substrate.resources import history, metering
from sagebrush.substrate.resources.documents import decode, encode
from sagebrush.substrate.resources.lease import Lease
from sagebrush.substrate.resources.resource import Resource, Row
from sagebrush.substrate.resources.rows import change, find, made_by, merged
from sagebrush.substrate.resources.tables import resources
from sagebrush.substrate.resources.tag_rows import put_tags
from sagebrush.substrate.resources.ulids import new_ulid

if TYPE_CHECKING:
    from sagebrush.substrate.calls import Call

BODY_VERSION = 1
AFTER_STATUS = faultpoints.declare("resources.after-status-before-event")

_INSERT = sql_insert(resources)


def insert(
    tx: Connection,
    resource: Resource,
    *,
    call: Call,
    name: str,
    body: Mapping[str, Any],
    status: str | None = None,
    tags: Sequence[Mapping[str, str]] = (),
    parent: str = "",
    secondary: str | None = None,
    message: str = "",
    wake: bool = True,
) -> Row:
    """Create a resource, in its machine's initial state unless ``status`` says otherwise, with history, event and
    meter row.

    With an owner token on the call, a repeat returns the row that the first call made. Raises the noun's own "already
    exists" error, and ValidationException for tags that break a rule. ``wake`` False leaves the reconcile loop alone.
    """
    if first := answered(tx, resource, call):
        return first
    owner_token = str(call.owner) if call.owner else None
    arn = resource.arn(call.account, call.region, name, parent)
    if find(tx, resource, call.account, call.region, name, parent):
        raise resource.existing(name, arn)
    now = call.platform.clock.now_us()
    text = encode(merged(body, None))
    row = Row(
        id=new_ulid(now),
        account=call.account,
        region=call.region,
        kind=resource.kind,
        name=name,
        arn=arn,
        status=resource.machine.initial if status is None else status,
        created_us=now,
        modified_us=now,
        generation=1,
        lease_token=0,
        body=decode(text),
        parent=parent,
    )
    terminal = row.status in resource.machine.terminal
    tx.execute(_INSERT, _values(row, text, owner_token, wake_at_us=now if wake and not terminal else None))
    if tags:
        put_tags(tx, row.id, tags)
    history.enter(tx, row.id, status=row.status, secondary=secondary, message=message, now_us=now, ends=terminal)
    _record(tx, resource, row, secondary, now, causation_id=call.request_id)
    if wake and not terminal:
        _wake_after_commit(call, row)
    return row


def answered(connection: Connection, resource: Resource, call: Call) -> Row | None:
    """What an earlier call with the same owner token made, even if it was deleted since; None for any other call.

    An operation with checks or rows of its own asks this before them: a repeat gets the first answer, whatever changed.
    """
    return made_by(connection, resource, str(call.owner)) if call.owner else None


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
    ``changes`` are merged into the body (a value of None removes the member). A terminal state ends the lease: cleaning
    up belongs before it, or in the same transaction. Raises LeaseLost, Conflict or IllegalTransition; then nothing
    happened.
    """
    status = resource.machine.next(row.status, event)
    terminal = status in resource.machine.terminal
    values: dict[str, Any] = {"status": status}
    if terminal:
        values |= {"wake_at_us": None, "lease_owner": None, "lease_until_us": None}
    elif lease is None:
        # Somebody outside the loop changed what it works on: let it look at once.
        values["wake_at_us"] = now_us
    after = replace(
        row,
        status=status,
        body=merged(row.body, changes) if changes else row.body,
        modified_us=now_us,
        generation=row.generation + 1,
        wakes=row.wakes + (lease is None),
    )
    change(tx, row, after, lease, values)
    history.enter(tx, row.id, status=status, secondary=secondary, message=message, now_us=now_us, ends=terminal)
    faultpoints.reach(AFTER_STATUS)
    causation_id = call.request_id if call else f"{row.id}/{lease.token if lease else row.generation}"
    _record(tx, resource, after, secondary, now_us, causation_id=causation_id)
    if call is not None:
        _wake_after_commit(call, row)
    return after


def update_body(
    tx: Connection,
    row: Row,
    changes: Mapping[str, Any],
    *,
    now_us: int,
    lease: Lease | None = None,
    message: str | None = None,
    call: Call | None = None,
) -> Row:
    """Merge changes into the body without a change of status; ``message`` replaces the open history entry's.

    With ``call`` the reconcile loop is woken after the commit, for what changed is its work. Raises LeaseLost or
    Conflict; then nothing happened.
    """
    after = replace(
        row,
        body=merged(row.body, changes) if changes else row.body,
        modified_us=now_us,
        generation=row.generation + 1,
        wakes=row.wakes + (call is not None),
    )
    change(tx, row, after, lease, {} if call is None else {"wake_at_us": now_us})
    if message is not None:
        history.say(tx, row.id, message)
    if call is not None:
        _wake_after_commit(call, row)
    return after


def soft_delete(tx: Connection, row: Row, *, now_us: int, lease: Lease | None = None) -> None:
    """Take a resource away; its history, events and meter rows stay, and its name is free.

    A reconciler passes its ``lease``. Raises LeaseLost or Conflict; then nothing happened.
    """
    after = replace(row, modified_us=now_us, generation=row.generation + 1)
    change(tx, row, after, lease, {"deleted_us": now_us, "wake_at_us": None, "lease_owner": None})
    metering.stop_measuring(tx, row.id, now_us)


def _wake_after_commit(call: Call, row: Row) -> None:
    platform = call.platform
    platform.store.after_commit(lambda: platform.wakeups.notify(row.id))


def _values(row: Row, body: str, owner_token: str | None, *, wake_at_us: int | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "account": row.account,
        "region": row.region,
        "kind": row.kind,
        "name": row.name,
        "parent": row.parent,
        "arn": row.arn,
        "status": row.status,
        "created_us": row.created_us,
        "modified_us": row.modified_us,
        "generation": row.generation,
        "owner_token": owner_token,
        "lease_token": row.lease_token,
        "wake_at_us": wake_at_us,
        "wakes": row.wakes,
        "body": body,
        "body_version": BODY_VERSION,
    }


def _record(
    tx: Connection, resource: Resource, row: Row, secondary: str | None, now_us: int, *, causation_id: str
) -> None:
    """The outbox event and the meter row of a transition."""
    metering.measure(tx, resource, row, secondary, now_us)
    if resource.describe is None or not resource.emits:
        return
    emit(
        tx,
        account=row.account,
        region=row.region,
        source=resource.event_source,
        detail_type=resource.detail_type,
        time_us=now_us,
        resource_arn=row.arn,
        detail=resource.describe(row, history.transitions_of(tx, row.id)),
        causation_id=causation_id,
    )
