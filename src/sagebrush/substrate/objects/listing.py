"""Listings: keyset queries in the order of the keys' bytes, with delimiters skipped over, not read through.

Memory is bounded by the page, whatever the bucket holds. Source: "ListObjectsV2", Amazon S3 API Reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from sagebrush.substrate.objects.info import ListedObject, Page
from sagebrush.substrate.objects.tables import objects

_Row = Row[*tuple[Any, ...]]
_COLUMNS = (objects.c.key, objects.c.size, objects.c.etag, objects.c.modified_us)
_OPEN_ENDED = (
    select(*_COLUMNS)
    .where(objects.c.bucket == bindparam("b_bucket"), objects.c.key >= bindparam("b_first"))
    .order_by(objects.c.key)
    .limit(bindparam("b_limit"))
)
_BOUNDED = _OPEN_ENDED.where(objects.c.key < bindparam("b_end"))

#: Rows per query of a listing with a delimiter: most of them may fall into one common prefix.
_ROWS_WITH_DELIMITER = 256


def successor(prefix: bytes) -> bytes | None:
    """The first key after all keys with this prefix; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


@dataclass(slots=True)
class _Collector:
    limit: int
    objects: list[ListedObject] = field(default_factory=list)
    prefixes: list[bytes] = field(default_factory=list)
    last: bytes | None = None

    def full(self) -> bool:
        return len(self.objects) + len(self.prefixes) >= self.limit

    def page(self, more: bool) -> Page:
        return Page(
            objects=tuple(self.objects),
            prefixes=tuple(prefix.decode() for prefix in self.prefixes),
            next_after=self.last.decode() if more and self.last is not None else None,
        )


def list_page(
    conn: Connection, bucket: str, prefix: bytes, *, start_after: bytes, delimiter: bytes, limit: int
) -> Page:
    """One page of at most ``limit`` keys and common prefixes after ``start_after``.

    ``start_after`` that is itself a common prefix of this listing continues behind everything under it.
    """
    found = _Collector(limit)
    if limit <= 0:
        return found.page(more=False)
    end = successor(prefix) if prefix else None
    position: bytes | None = max(prefix, _first_after(prefix, start_after, delimiter))
    while position is not None:
        wanted = _ROWS_WITH_DELIMITER if delimiter else limit - len(found.objects) + 1
        rows = _fetch(conn, bucket, position, end, wanted)
        position, more = _take(rows, wanted, prefix, delimiter, found)
        if more:
            return found.page(more=True)
    return found.page(more=False)


def _first_after(prefix: bytes, start_after: bytes, delimiter: bytes) -> bytes:
    if not start_after:
        return b""
    if delimiter and start_after == _common_prefix(start_after, prefix, delimiter):
        return successor(start_after) or start_after + b"\xff"
    return start_after + b"\0"


def _common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    if not delimiter or not key.startswith(prefix):
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]


def _fetch(conn: Connection, bucket: str, first: bytes, end: bytes | None, limit: int) -> Sequence[_Row]:
    values = {"b_bucket": bucket, "b_first": first, "b_limit": limit}
    if end is None:
        return conn.execute(_OPEN_ENDED, values).all()
    return conn.execute(_BOUNDED, {**values, "b_end": end}).all()


def _take(
    rows: Sequence[_Row], wanted: int, prefix: bytes, delimiter: bytes, found: _Collector
) -> tuple[bytes | None, bool]:
    """Move rows into the page. Answers where to go on (None: at the end) and whether it is full with more to come."""
    skip_to: bytes | None = None
    for row in rows:
        if skip_to is not None and row.key < skip_to:
            continue
        if found.full():
            return None, True
        common = _common_prefix(row.key, prefix, delimiter)
        if common is None:
            found.objects.append(ListedObject(row.key.decode(), row.size, row.etag, row.modified_us))
            found.last = row.key
            skip_to = None
        else:
            found.prefixes.append(common)
            found.last = common
            skip_to = successor(common)
            if skip_to is None:
                return None, False
    if len(rows) < wanted:
        return None, False
    return max(skip_to or b"", rows[-1].key + b"\0"), False
