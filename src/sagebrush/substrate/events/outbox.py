"""Events in commit order, in EventBridge's envelope, and who has consumed up to where.

Envelope: https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from sagebrush.substrate.clock import from_datetime, to_datetime
from sagebrush.substrate.events.tables import outbox, outbox_consumers
from sagebrush.substrate.store import Store

_NEXT = text(
    "INSERT INTO outbox_head (id, sequence) VALUES (1, 1) "
    "ON CONFLICT (id) DO UPDATE SET sequence = outbox_head.sequence + 1 RETURNING sequence"
)
_INSERT = insert(outbox)
_AFTER = select(outbox).where(outbox.c.sequence > bindparam("after")).order_by(outbox.c.sequence)


@dataclass(frozen=True, slots=True)
class Event:
    """One recorded event. ``sequence`` counts 1, 2, 3 ... in commit order, without gaps."""

    sequence: int
    id: str
    account: str
    region: str
    source: str
    detail_type: str
    time_us: int
    resource_arn: str
    causation_id: str
    detail: dict[str, Any]


def emit(
    tx: Connection,
    *,
    account: str,
    region: str,
    source: str,
    detail_type: str,
    time_us: int,
    resource_arn: str,
    detail: Mapping[str, Any],
    causation_id: str,
) -> int:
    """Record an event in the caller's transaction; its sequence.

    ``causation_id`` says what brought it about: a request id, or a resource's id and lease. Timestamps in ``detail``
    become milliseconds since 1970, as SageMaker's events carry them; bytes become base64, as in every JSON protocol.
    """
    sequence = int(tx.execute(_NEXT).scalar_one())
    tx.execute(
        _INSERT,
        {
            "sequence": sequence,
            "id": str(uuid.uuid4()),
            "account": account,
            "region": region,
            "source": source,
            "detail_type": detail_type,
            "time_us": time_us,
            "resource_arn": resource_arn,
            "causation_id": causation_id[:128],
            "detail": json.dumps(detail, default=_jsonable, separators=(",", ":")),
        },
    )
    return sequence


def read_after(connection: Connection, sequence: int, limit: int = 100) -> list[Event]:
    """Events after ``sequence``, oldest first."""
    rows = connection.execute(_AFTER.limit(limit), {"after": sequence}).mappings()
    return [Event(**{**row, "detail": json.loads(row["detail"])}) for row in rows]


def envelope(event: Event) -> dict[str, Any]:
    """The event as EventBridge delivers it; ``sagebrush`` carries what it has no member for."""
    return {
        "version": "0",
        "id": event.id,
        "detail-type": event.detail_type,
        "source": event.source,
        "account": event.account,
        "time": to_datetime(event.time_us).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": event.region,
        "resources": [event.resource_arn],
        "detail": event.detail,
        "sagebrush": {"sequence": event.sequence, "causationId": event.causation_id},
    }


def consume(store: Store, consumer: str, fn: Callable[[Connection, Event], None], *, limit: int = 100) -> int:
    """Give ``consumer`` up to ``limit`` events it has not seen; how many there were.

    ``fn`` runs in the transaction that records the position, so its recorded effect happens exactly once. If it
    raises, the position stays where it was. With nothing to consume, nothing is committed.
    """
    if not store.read(lambda connection: read_after(connection, _position(connection, consumer) or 0, 1)):
        return 0

    def step(tx: Connection) -> int:
        position = _position(tx, consumer)
        events = read_after(tx, position or 0, limit)
        for event in events:
            fn(tx, event)
        if events:
            _remember(tx, consumer, events[-1].sequence, first=position is None)
        return len(events)

    return store.write(step)


def prune(tx: Connection, *, before_us: int, most: int = 1000) -> int:
    """Remove up to ``most`` events older than ``before_us`` that every known consumer has seen; how many went."""
    seen = tx.execute(select(func.min(outbox_consumers.c.sequence))).scalar()
    condition = outbox.c.time_us < before_us
    if seen is not None:
        condition &= outbox.c.sequence <= seen
    oldest = select(outbox.c.sequence).where(condition).order_by(outbox.c.sequence).limit(most)
    found = list(tx.execute(oldest).scalars())
    if found:
        tx.execute(delete(outbox).where(outbox.c.sequence.in_(found)))
    return len(found)


def _position(connection: Connection, consumer: str) -> int | None:
    where = outbox_consumers.c.consumer == consumer
    return connection.execute(select(outbox_consumers.c.sequence).where(where)).scalar()


def _remember(tx: Connection, consumer: str, sequence: int, *, first: bool) -> None:
    if first:
        tx.execute(insert(outbox_consumers).values(consumer=consumer, sequence=sequence))
    else:
        where = outbox_consumers.c.consumer == consumer
        tx.execute(update(outbox_consumers).where(where).values(sequence=sequence))


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return from_datetime(value) // 1000
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} in an event")
