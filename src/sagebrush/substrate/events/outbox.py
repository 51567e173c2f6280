"""Events in commit order, in EventBridge's envelope, and who has consumed up to where.

Envelope: https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.resources.tables import outbox, outbox_consumers
from sagebrush.substrate.store import Store


@dataclass(frozen=True, slots=True)
class Event:
    """One recorded event; ``sequence`` grows with commit order and has no meaning beyond it."""

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


def read_after(connection: Connection, sequence: int, limit: int = 100) -> list[Event]:
    """Events after ``sequence``, oldest first."""
    rows = connection.execute(
        select(outbox).where(outbox.c.sequence > sequence).order_by(outbox.c.sequence).limit(limit)
    ).mappings()
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
    """Give ``consumer`` the events it has not seen; how many there were.

    ``fn`` runs in the transaction that records the position, so its recorded effect happens exactly once.
    """

    def step(tx: Connection) -> int:
        where = outbox_consumers.c.consumer == consumer
        position = tx.execute(select(outbox_consumers.c.sequence).where(where)).scalar()
        events = read_after(tx, position or 0, limit)
        for event in events:
            fn(tx, event)
        if events and position is None:
            tx.execute(insert(outbox_consumers).values(consumer=consumer, sequence=events[-1].sequence))
        elif events:
            tx.execute(update(outbox_consumers).where(where).values(sequence=events[-1].sequence))
        return len(events)

    return store.write(step)
