"""The log store: appending events and reading them back in exact pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, insert, select, update

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.telemetry import reading
from sagebrush.substrate.telemetry.chunks import GROW_BYTES, MAX_EVENTS, StoredEvent, pack, split, unpack
from sagebrush.substrate.telemetry.groups import Groups, LogGroup, LogStream
from sagebrush.substrate.telemetry.pages import (
    BEGINNING,
    END,
    END_MS,
    FilteredPage,
    LogEvent,
    LogPage,
    Position,
    after,
    digits,
    from_digits,
)
from sagebrush.substrate.telemetry.tables import log_chunks, log_streams

#: CloudWatch's limits of a page: so many events, and so many bytes with 26 for each event.
PAGE_EVENTS = 10_000
PAGE_BYTES = 1 << 20
EVENT_OVERHEAD = 26
#: A search gives up for this page after so many events that do not match; its token goes on from there.
SCAN_EVENTS = 200_000

_DAY_MS = 86_400_000


class LogStore(Groups):
    """The log groups, streams and events of one account and region."""

    def append(self, tx: Connection, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        """Append (timestamp ms, message) pairs to a stream, in the caller's transaction.

        Group and stream are created when missing, also for no events at all. Readers see events by timestamp, and
        those of one millisecond in the order of their appending.
        """
        in_group = self.find_group(tx, group) or self.create_group(tx, group)
        target = self.find_stream(tx, in_group, stream) or self.create_stream(tx, group, stream)
        if not events:
            return
        now_ms = self._clock.now_us() // 1000
        stored = [StoredEvent(timestamp, now_ms, _sendable(message)) for timestamp, message in events]
        self._write(tx, target, stored)
        times = [e.timestamp_ms for e in stored]
        first, last = target.first_event_ms, target.last_event_ms
        values = {
            "next_sequence": target.next_sequence + len(stored),
            "first_event_ms": min(times) if first is None else min(first, *times),
            "last_event_ms": max(times) if last is None else max(last, *times),
            "last_ingestion_ms": now_ms,
            "stored_bytes": target.stored_bytes + sum(e.size for e in stored),
        }
        tx.execute(update(log_streams).where(log_streams.c.id == target.id).values(**values))

    def _write(self, tx: Connection, stream: LogStream, events: list[StoredEvent]) -> None:
        sequence = stream.next_sequence
        columns = (log_chunks.c.first_sequence, log_chunks.c.events, log_chunks.c.raw_bytes)
        query = select(*columns).where(log_chunks.c.stream_id == stream.id)
        last = tx.execute(query.order_by(log_chunks.c.first_sequence.desc()).limit(1)).one_or_none()
        if last is not None and last.raw_bytes < GROW_BYTES and last.events + len(events) <= MAX_EVENTS:
            # Many small appends would otherwise leave a row for each.
            row = (log_chunks.c.stream_id == stream.id) & (log_chunks.c.first_sequence == last.first_sequence)
            grown = pack(unpack(tx.execute(select(log_chunks.c.payload).where(row)).scalar_one()) + events)
            values = {name: getattr(grown, name) for name in grown.__slots__}
            tx.execute(update(log_chunks).where(row).values(**values))
            return
        for run in split(events):
            chunk = pack(run)
            values = {name: getattr(chunk, name) for name in chunk.__slots__}
            identity = {"stream_id": stream.id, "group_id": stream.group_id, "first_sequence": sequence}
            tx.execute(insert(log_chunks).values(**identity, **values))
            sequence += len(run)

    def read(
        self,
        conn: Connection,
        group: str,
        stream: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        token: str | None = None,
        limit: int = PAGE_EVENTS,
        from_head: bool = False,
    ) -> LogPage:
        """One page of a stream, as GetLogEvents pages: events with ``start_ms <= timestamp < end_ms``, oldest first.

        Without a token the page lies at the head or (default) at the tail. ``f/`` tokens go on towards newer events,
        ``b/`` tokens towards older ones; at an end the page is empty and gives its token back. Raises
        ResourceNotFoundException, and InvalidParameterException for a token that is none.
        """
        in_group = self.group(conn, group)
        target = self.stream(conn, group, stream)
        lower = self._lower(in_group, start_ms)
        upper = _upper(end_ms)
        forward = from_head
        here: Position | None = None
        if token is not None:
            forward, here = _parse_token(token, target.id)
            if forward:
                lower = max(lower, here)
            else:
                upper = min(upper, here)
        span = reading.Span(in_group.id, frozenset([target.id]), lower, upper)
        if forward:
            placed = list(islice(_one_page(reading.ascending(conn, span)), limit))
        else:
            placed = list(islice(_one_page(reading.descending(conn, span)), limit))[::-1]
        if placed:
            first, behind = placed[0][0], after(placed[-1][0])
        else:
            first = behind = here or (max(lower[0], 0), 0, 0)
        events = [_event(stream, p, e) for p, e in placed]
        return LogPage(events, f"f/{digits(behind)}", f"b/{digits(first)}")

    def filter(
        self,
        conn: Connection,
        group: str,
        *,
        streams: Sequence[str] | None = None,
        prefix: str = "",
        start_ms: int | None = None,
        end_ms: int | None = None,
        position: Position | None = None,
        limit: int = PAGE_EVENTS,
        matches: Callable[[str], bool] | None = None,
        from_head: bool = True,
    ) -> FilteredPage:
        """One page of the events of a group (or of some of its streams) whose message matches, in their order.

        ``from_head`` False begins with the newest. Times mean what they mean in ``read``. Raises
        ResourceNotFoundException for the group or a named stream.
        """
        in_group = self.group(conn, group)
        ids = self._chosen(conn, in_group, streams, prefix)
        lower = self._lower(in_group, start_ms)
        upper = _upper(end_ms)
        if position is not None:
            lower, upper = (max(lower, position), upper) if from_head else (lower, min(upper, position))
        span = reading.Span(in_group.id, ids, lower, upper)
        if ids is not None and not ids:
            return FilteredPage([], None)
        found: list[reading.Placed] = []
        following: Position | None = None
        size = 0
        walk = reading.ascending(conn, span) if from_head else reading.descending(conn, span)
        for scanned, (here, event) in enumerate(walk):
            if matches is not None and not matches(event.message) and scanned < SCAN_EVENTS:
                continue
            full = len(found) >= limit or (found and size + event.size + EVENT_OVERHEAD > PAGE_BYTES)
            if full or scanned >= SCAN_EVENTS:
                following = here if from_head else after(here)
                break
            found.append((here, event))
            size += event.size + EVENT_OVERHEAD
        names = self.stream_names(conn, {here[1] for here, _ in found})
        return FilteredPage([_event(names[p[1]], p, e) for p, e in found], following)

    def tail(self, conn: Connection, group: str, stream: str, lines: int) -> list[str]:
        """The last messages of a stream, oldest first; empty when group or stream is not there."""
        in_group = self.find_group(conn, group)
        target = None if in_group is None else self.find_stream(conn, in_group, stream)
        if in_group is None or target is None:
            return []
        span = reading.Span(in_group.id, frozenset([target.id]), BEGINNING, END)
        return [event.message for _, event in islice(reading.descending(conn, span), lines)][::-1]

    def _lower(self, group: LogGroup, start_ms: int | None) -> Position:
        """Where reading may begin: at ``start_ms``, but not among events that the group no longer keeps."""
        kept_from = BEGINNING[0]
        if group.retention_days is not None:
            kept_from = self._clock.now_us() // 1000 - group.retention_days * _DAY_MS
        return min(max(kept_from, BEGINNING[0] if start_ms is None else start_ms), END_MS), 0, 0

    def _chosen(
        self, conn: Connection, group: LogGroup, streams: Sequence[str] | None, prefix: str
    ) -> frozenset[int] | None:
        if streams:
            return frozenset(self.stream_ids(conn, group, streams))
        if prefix:
            return frozenset(s.id for s in self.list_streams(conn, group, prefix=prefix, limit=None))
        return None


def _sendable(message: str) -> str:
    """The message as UTF-8 can carry it: halves of surrogate pairs become question marks."""
    return message if message.isascii() else message.encode("utf-8", "replace").decode()


def _upper(end_ms: int | None) -> Position:
    return END if end_ms is None else (min(end_ms, END_MS), 0, 0)


def _one_page(placed: Iterator[reading.Placed]) -> Iterator[reading.Placed]:
    """As many events as a page may carry by size; always at least one."""
    size = 0
    for position, event in placed:
        size += event.size + EVENT_OVERHEAD
        if size > PAGE_BYTES and size > event.size + EVENT_OVERHEAD:
            return
        yield position, event


def _event(stream: str, position: Position, event: StoredEvent) -> LogEvent:
    return LogEvent(stream, event.timestamp_ms, event.ingestion_ms, event.message, position)


def _parse_token(token: str, stream_id: int) -> tuple[bool, Position]:
    direction, _, text = token.partition("/")
    position = from_digits(text)
    if direction not in ("f", "b") or position[1] not in (0, stream_id):
        raise CallerError("InvalidParameterException", "The specified nextToken is invalid.")
    return direction == "f", position
