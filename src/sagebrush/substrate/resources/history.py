"""What a resource went through: SageMaker's SecondaryStatusTransitions and their like."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from sagebrush.substrate.resources.tables import history

_OF = select(history).where(history.c.resource_id == bindparam("of")).order_by(history.c.sequence)
_LAST = select(func.max(history.c.sequence)).where(history.c.resource_id == bindparam("of"))
_OPEN = (history.c.resource_id == bindparam("of")) & history.c.ended_us.is_(None)
_CLOSE = update(history).where(_OPEN).values(ended_us=bindparam("now"))
_SAY = update(history).where(_OPEN).values(message=bindparam("text"))
_INSERT = insert(history)


def transitions_of(connection: Connection, resource_id: str) -> list[dict[str, Any]]:
    """The history in order: status, secondary, message, started_us, ended_us (None while open)."""
    return [dict(row) for row in connection.execute(_OF, {"of": resource_id}).mappings()]


def enter(
    tx: Connection, resource_id: str, *, status: str, secondary: str | None, message: str, now_us: int, ends: bool
) -> None:
    """Begin an entry, ending the one before; an entry that ``ends`` (a terminal one) is over as it begins."""
    tx.execute(_CLOSE, {"of": resource_id, "now": now_us})
    last = tx.execute(_LAST, {"of": resource_id}).scalar()
    tx.execute(
        _INSERT,
        {
            "resource_id": resource_id,
            "sequence": (last or 0) + 1,
            "status": status,
            "secondary": secondary,
            "message": message,
            "started_us": now_us,
            "ended_us": now_us if ends else None,
        },
    )


def say(tx: Connection, resource_id: str, message: str) -> None:
    """Replace the message of the open entry."""
    tx.execute(_SAY, {"of": resource_id, "text": message})
