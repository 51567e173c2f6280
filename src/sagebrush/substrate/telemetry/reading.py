"""Reading packed events in the order of time, forwards or backwards, across any number of streams.

Chunks may overlap in time (late arrivals, several streams), so events pass through a heap: an event leaves it once no
chunk that is still unread can hold one that comes before it. Memory stays at the chunks that overlap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select

from sagebrush.substrate.telemetry.chunks import StoredEvent, unpack
from sagebrush.substrate.telemetry.pages import Position
from sagebrush.substrate.telemetry.tables import log_chunks as chunks

#: Rows of the chunk index that are fetched at once.
_BATCH = 128

Placed = tuple[Position, StoredEvent]
_ChunkRow = Row[Any, Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """What to read: a group or some of its streams (``stream_ids`` not None), from ``lower`` up to before ``upper``."""

    group_id: int
    stream_ids: frozenset[int] | None
    lower: Position
    upper: Position

    def condition(self) -> Any:
        within = and_(chunks.c.max_ms >= self.lower[0], chunks.c.min_ms <= self.upper[0])
        if self.stream_ids is None:
            return and_(chunks.c.group_id == self.group_id, within)
        if len(self.stream_ids) == 1:
            return and_(chunks.c.stream_id == next(iter(self.stream_ids)), within)
        return and_(chunks.c.stream_id.in_(self.stream_ids), within)


def ascending(conn: Connection, span: Span) -> Iterator[Placed]:
    """The events of a span, oldest first."""
    heap: list[Placed] = []
    for row in _rows(conn, span, descending=False):
        earliest_unread = (row.min_ms, row.stream_id, row.first_sequence)
        while heap and heap[0][0] < earliest_unread:
            yield heapq.heappop(heap)
        for placed in _events(conn, row, span):
            heapq.heappush(heap, placed)
    while heap:
        yield heapq.heappop(heap)


def descending(conn: Connection, span: Span) -> Iterator[Placed]:
    """The events of a span, newest first."""
    heap: list[tuple[Position, Placed]] = []
    for row in _rows(conn, span, descending=True):
        latest_unread = (row.max_ms, row.stream_id, row.first_sequence + row.events - 1)
        while heap and heap[0][1][0] > latest_unread:
            yield heapq.heappop(heap)[1]
        for placed in _events(conn, row, span):
            heapq.heappush(heap, (_negated(placed[0]), placed))
    while heap:
        yield heapq.heappop(heap)[1]


def _negated(position: Position) -> Position:
    return -position[0], -position[1], -position[2]


def _events(conn: Connection, row: _ChunkRow, span: Span) -> Iterator[Placed]:
    query = select(chunks.c.payload)
    query = query.where(chunks.c.stream_id == row.stream_id, chunks.c.first_sequence == row.first_sequence)
    for offset, event in enumerate(unpack(conn.execute(query).scalar_one())):
        position = (event.timestamp_ms, row.stream_id, row.first_sequence + offset)
        if span.lower <= position < span.upper:
            yield position, event


def _rows(conn: Connection, span: Span, *, descending: bool) -> Iterator[_ChunkRow]:
    """The rows (without payload) of the chunks that may hold events of the span, in the order of their edge."""
    edge = chunks.c.max_ms if descending else chunks.c.min_ms
    keys = (edge, chunks.c.stream_id, chunks.c.first_sequence)
    columns = (chunks.c.stream_id, chunks.c.first_sequence, chunks.c.events, chunks.c.min_ms, chunks.c.max_ms)
    query = select(*columns).where(span.condition())
    query = query.order_by(*(k.desc() if descending else k.asc() for k in keys)).limit(_BATCH)
    last: tuple[int, int, int] | None = None
    while True:
        rows = conn.execute(query if last is None else query.where(_beyond(keys, last, descending=descending))).all()
        yield from rows
        if len(rows) < _BATCH:
            return
        tail = rows[-1]
        last = (tail.max_ms if descending else tail.min_ms, tail.stream_id, tail.first_sequence)


def _beyond(keys: tuple[Any, Any, Any], last: tuple[int, int, int], *, descending: bool) -> Any:
    def past(key: Any, value: int) -> Any:
        return key < value if descending else key > value

    first, second, third = keys
    return or_(
        past(first, last[0]),
        and_(first == last[0], past(second, last[1])),
        and_(first == last[0], second == last[1], past(third, last[2])),
    )
