"""How a run of log events is packed into one row.

A million lines are a few thousand rows: a chunk holds the timestamps, ingestion times and messages of up to
``MAX_EVENTS`` events as compressed JSON. A small last chunk is grown by the next append instead of starting a new one.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: A chunk that is written in one go ends at this many events or bytes of text, whichever comes first.
MAX_EVENTS = 2000
MAX_BYTES = 256 * 1024
#: The last chunk of a stream is grown by later appends while its text stays below this many bytes.
GROW_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as a chunk holds it; times in milliseconds."""

    timestamp_ms: int
    ingestion_ms: int
    message: str

    @property
    def size(self) -> int:
        """Bytes of the message in UTF-8."""
        return len(self.message.encode())


@dataclass(frozen=True, slots=True)
class Chunk:
    """A packed run of events and what its row says about them."""

    events: int
    raw_bytes: int
    min_ms: int
    max_ms: int
    payload: bytes


def pack(events: Sequence[StoredEvent]) -> Chunk:
    """Pack events (at least one) in their order of arrival."""
    times = [e.timestamp_ms for e in events]
    columns = [times, [e.ingestion_ms for e in events], [e.message for e in events]]
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
    return Chunk(
        events=len(events),
        raw_bytes=sum(e.size for e in events),
        min_ms=min(times),
        max_ms=max(times),
        payload=zlib.compress(text.encode(), 1),
    )


def unpack(payload: bytes) -> list[StoredEvent]:
    """The events of a chunk in their order of arrival."""
    times, ingested, messages = json.loads(zlib.decompress(payload).decode())
    return [StoredEvent(t, i, m) for t, i, m in zip(times, ingested, messages, strict=True)]


def split(events: Sequence[StoredEvent]) -> Iterator[list[StoredEvent]]:
    """Cut a long run into chunks' worth of events."""
    run: list[StoredEvent] = []
    size = 0
    for event in events:
        if run and (len(run) >= MAX_EVENTS or size + event.size > MAX_BYTES):
            yield run
            run, size = [], 0
        run.append(event)
        size += event.size
    if run:
        yield run
