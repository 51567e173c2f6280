"""Listings against a naive oracle, on random keys."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.objects import ObjectStore, Page
from sagebrush.substrate.objects.listing import list_page
from sagebrush.substrate.objects.tables import objects
from sagebrush.substrate.store import OBJECTS, Store
from tests.databases import open_at

ACCOUNT = "123456789012"

#: Few characters, so that prefixes and delimiters meet; the last ones sort differently as UTF-16 or by locale.
KEYS = st.text("ab/B-é\uffff\U0001f600", min_size=1, max_size=6)


class Rows:
    """An index whose object rows are set directly: a listing reads nothing else."""

    def __init__(self, folder: Path):
        self.index: Store = open_at(OBJECTS, folder / "index.db")
        self.store = ObjectStore(folder / "objects", self.index, ManualClock())
        self.store.create_bucket("bucket", account=ACCOUNT, region="us-east-1")

    def fill(self, keys: set[str]) -> None:
        row = {"bucket": "bucket", "size": 1, "etag": "e", "modified_us": 0, "file": "f", "body": "{}"}

        def write(conn: Connection) -> None:
            conn.execute(objects.delete())
            if keys:
                conn.execute(insert(objects), [{**row, "key": key.encode()} for key in keys])

        self.index.write(write)


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    with tempfile.TemporaryDirectory() as folder:
        made = Rows(Path(folder))
        yield made
        made.store.close()
        made.index.close()


def oracle(keys: set[str], prefix: str, delimiter: str, start_after: str) -> list[tuple[str, bool]]:
    """Every entry of the listing in order: (key or common prefix, whether it is a common prefix)."""
    entries: list[tuple[str, bool]] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix) or key.encode() <= start_after.encode():
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        common = key[: at + len(delimiter)] if at >= 0 else ""
        if not common:
            entries.append((key, False))
        elif common != start_after and (common, True) not in entries:
            entries.append((common, True))
    return entries


@settings(max_examples=300, deadline=None)
@given(
    keys=st.sets(KEYS, max_size=40),
    prefix=st.text("ab/B", max_size=2),
    delimiter=st.sampled_from(["", "/", "a", "//", "é"]),
    start_after=st.one_of(st.just(""), KEYS),
    limit=st.integers(1, 7),
)
def test_pages_put_together_are_what_the_oracle_lists(
    rows: Rows, keys: set[str], prefix: str, delimiter: str, start_after: str, limit: int
) -> None:
    rows.fill(keys)
    found: list[tuple[str, bool]] = []
    position = start_after
    while True:
        page = rows.store.list("bucket", prefix, start_after=position, delimiter=delimiter, limit=limit)
        entries = [(listed.key, False) for listed in page.objects] + [(common, True) for common in page.prefixes]
        assert len(entries) <= limit
        found += sorted(entries, key=lambda entry: entry[0].encode())
        if page.next_after is None:
            break
        assert len(entries) == limit
        position = page.next_after
    assert found == oracle(keys, prefix, delimiter, start_after)


def test_iterating_gives_every_key_once_in_order(rows: Rows) -> None:
    keys = {f"k{number:05d}" for number in range(2500)}
    rows.fill(keys)
    assert [info.key for info in rows.store.iterate("bucket", "k")] == sorted(keys)


class CountingConnection:
    """Notes how many rows each query of a listing fetched."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.fetched: list[int] = []

    def execute(self, *arguments: Any) -> Any:
        result = self.connection.execute(*arguments).freeze()
        self.fetched.append(len(result.data))
        return result()


def test_a_delimiter_skips_what_it_hides(rows: Rows) -> None:
    """Two prefixes with thousands of keys each cost a few small queries, not a scan."""
    rows.fill({f"{letter}/{number:05d}" for letter in "ab" for number in range(3000)})

    def look(connection: Connection) -> tuple[Page, list[int]]:
        counting = CountingConnection(connection)
        page = list_page(cast(Connection, counting), "bucket", b"", start_after=b"", delimiter=b"/", limit=1000)
        return page, counting.fetched

    page, fetched = rows.index.read(look)
    assert page.prefixes == ("a/", "b/")
    assert sum(fetched) <= 600
