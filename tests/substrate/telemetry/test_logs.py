"""The log store: what was appended is read back exactly, in order, in pages that neither repeat nor skip."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import func, select

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.store import Store
from sagebrush.substrate.telemetry import LogPage, Telemetry
from sagebrush.substrate.telemetry.tables import log_chunks

NOW = 1_700_000_000_000


def append(telemetry: Telemetry, stream: str, events: list[tuple[int, str]], group: str = "g") -> None:
    telemetry.store.write(lambda tx: telemetry.logs.append(tx, group, stream, events))


def read(telemetry: Telemetry, stream: str = "s", **asked: Any) -> LogPage:
    return telemetry.store.read(lambda conn: telemetry.logs.read(conn, "g", stream, **asked))


def messages(page: LogPage) -> list[str]:
    return [event.message for event in page.events]


def forwards(telemetry: Telemetry, limit: int, **asked: Any) -> list[str]:
    """All messages, page by page from the head, as the SDK's log tailer reads them."""
    found: list[str] = []
    page = read(telemetry, limit=limit, from_head=True, **asked)
    while page.events:
        found += messages(page)
        page = read(telemetry, limit=limit, token=page.forward_token, **asked)
    return found


def test_lines_of_one_millisecond_keep_their_order_over_page_borders(telemetry: Telemetry) -> None:
    lines = [f"line {n}" for n in range(50)]
    append(telemetry, "s", [(NOW, line) for line in lines])
    assert forwards(telemetry, 7) == lines


def test_pages_backwards_are_the_same_events(telemetry: Telemetry) -> None:
    append(telemetry, "s", [(NOW + n // 3, f"{n}") for n in range(40)])
    page = read(telemetry, limit=9)
    found = messages(page)
    while page.events:
        page = read(telemetry, limit=9, token=page.backward_token)
        found = messages(page) + found
    assert found == [f"{n}" for n in range(40)]


def test_late_events_are_merged_by_time_whatever_the_order_of_arrival(telemetry: Telemetry) -> None:
    order = random.Random(3)
    events = [(NOW + order.randrange(300), f"{n}") for n in range(600)]
    for start in range(0, 600, 20):
        append(telemetry, "s", events[start : start + 20])
    expected = [message for _, message in sorted(events, key=lambda e: e[0])]
    assert forwards(telemetry, 37) == expected
    assert messages(read(telemetry, limit=10)) == expected[-10:]


def test_an_empty_page_repeats_its_token_and_finds_what_comes_later(telemetry: Telemetry) -> None:
    append(telemetry, "s", [(NOW, "one")])
    page = read(telemetry, from_head=True)
    empty = read(telemetry, token=page.forward_token)
    assert empty.events == []
    assert empty.forward_token == page.forward_token
    append(telemetry, "s", [(NOW, "two")])
    assert messages(read(telemetry, token=empty.forward_token)) == ["two"]


def test_tokens_of_an_empty_stream_find_its_first_event(telemetry: Telemetry) -> None:
    append(telemetry, "s", [])
    page = read(telemetry, from_head=True, start_ms=NOW - 10)
    assert page.events == []
    append(telemetry, "s", [(NOW, "first")])
    assert messages(read(telemetry, token=page.forward_token)) == ["first"]


def test_the_time_range_includes_its_start_and_excludes_its_end(telemetry: Telemetry) -> None:
    append(telemetry, "s", [(NOW + n, f"{n}") for n in range(10)])
    assert messages(read(telemetry, start_ms=NOW + 3, end_ms=NOW + 6)) == ["3", "4", "5"]
    assert forwards(telemetry, 2, start_ms=NOW + 3, end_ms=NOW + 8) == ["3", "4", "5", "6", "7"]


def test_a_page_ends_at_a_mebibyte(telemetry: Telemetry) -> None:
    append(telemetry, "s", [(NOW + n, "x" * 200_000) for n in range(12)])
    assert len(read(telemetry, from_head=True).events) == 5
    assert len(forwards(telemetry, 10_000)) == 12


def test_small_appends_share_chunks_and_a_long_one_is_split(telemetry: Telemetry, store: Store) -> None:
    for n in range(100):
        append(telemetry, "s", [(NOW + n, f"step {n}")])
    append(telemetry, "s", [(NOW + 100 + n, f"step {100 + n}") for n in range(4500)])
    chunks = store.read(lambda conn: conn.execute(select(func.count()).select_from(log_chunks)).scalar_one())
    assert chunks == 4
    assert forwards(telemetry, 1000) == [f"step {n}" for n in range(4600)]


def test_text_of_any_kind_survives(telemetry: Telemetry) -> None:
    lines = ["", "ünïcödé ✓ \U0001f600", "\ttab\x00nul\x1b[0m", '"quotes"\\']
    append(telemetry, "s", [(NOW, line) for line in [*lines, "half a pair \udce9"]])
    assert messages(read(telemetry)) == [*lines, "half a pair ?"]


def test_an_append_belongs_to_the_callers_transaction(telemetry: Telemetry, store: Store) -> None:
    append(telemetry, "s", [(NOW, "kept")])

    def fails(tx: Any) -> None:
        telemetry.logs.append(tx, "g", "s", [(NOW, "lost")])
        raise RuntimeError("after the append")

    with pytest.raises(RuntimeError):
        store.write(fails)
    assert messages(read(telemetry)) == ["kept"]


def test_filter_merges_streams_by_time_and_pages_exactly(telemetry: Telemetry) -> None:
    for stream in ("a/1", "a/2", "b/1"):
        append(telemetry, stream, [(NOW + n, f"{stream} {n}") for n in range(30)])
    found: list[str] = []
    position = None
    while True:
        page = telemetry.store.read(
            lambda conn, at=position: telemetry.logs.filter(conn, "g", prefix="a/", position=at, limit=7)  # type: ignore[misc]
        )
        found += [event.message for event in page.events]
        position = page.next_position
        if position is None:
            break
    assert found == [f"a/{s} {n}" for n in range(30) for s in (1, 2)]


def test_filter_takes_only_what_matches_and_can_begin_with_the_newest(telemetry: Telemetry) -> None:
    append(telemetry, "s", [(NOW + n, f"{'ERROR' if n % 10 == 0 else 'ok'} {n}") for n in range(50)])
    page = telemetry.store.read(
        lambda conn: telemetry.logs.filter(conn, "g", matches=lambda m: "ERROR" in m, from_head=False, limit=3)
    )
    assert [event.message for event in page.events] == ["ERROR 40", "ERROR 30", "ERROR 20"]
    rest = telemetry.store.read(
        lambda conn: telemetry.logs.filter(
            conn, "g", matches=lambda m: "ERROR" in m, from_head=False, position=page.next_position
        )
    )
    assert [event.message for event in rest.events] == ["ERROR 10", "ERROR 0"]
    assert rest.next_position is None


def test_tail_gives_the_last_lines_oldest_first(telemetry: Telemetry) -> None:
    append(telemetry, "s", [(NOW + n, f"{n}") for n in range(100)])
    assert telemetry.store.read(lambda conn: telemetry.logs.tail(conn, "g", "s", 3)) == ["97", "98", "99"]
    assert telemetry.store.read(lambda conn: telemetry.logs.tail(conn, "nowhere", "s", 3)) == []


def test_events_beyond_retention_are_not_shown(telemetry: Telemetry, clock: ManualClock) -> None:
    append(telemetry, "s", [(NOW, "old")])
    telemetry.store.write(lambda tx: telemetry.logs.set_retention(tx, "g", 1))
    clock.advance(2 * 86_400)
    append(telemetry, "s", [(clock.now_us() // 1000, "new")])
    assert messages(read(telemetry, from_head=True)) == ["new"]


def test_deleting_a_group_deletes_its_events_and_nothing_else(telemetry: Telemetry, store: Store) -> None:
    append(telemetry, "s", [(NOW, "one")])
    append(telemetry, "s", [(NOW, "other")], group="h")
    store.write(lambda tx: telemetry.logs.delete_group(tx, "g"))
    with pytest.raises(CallerError, match="The specified log group does not exist"):
        read(telemetry)
    assert store.read(lambda conn: telemetry.logs.tail(conn, "h", "s", 5)) == ["other"]


def test_accounts_and_regions_are_apart(telemetry: Telemetry) -> None:
    append(telemetry, "s", [(NOW, "mine")])
    other = telemetry.of("999999999999", "us-east-1")
    assert other.store.read(lambda conn: other.logs.tail(conn, "g", "s", 5)) == []
    append(other, "s", [(NOW, "theirs")])
    assert messages(read(telemetry)) == ["mine"]
    assert telemetry.of("123456789012", "us-east-1") is telemetry


@pytest.mark.parametrize("token", ["", "f/", "f/12", "x/" + "0" * 56, "f/" + "a" * 56, "f/" + "9" * 56])
def test_a_token_that_is_none_is_refused(telemetry: Telemetry, token: str) -> None:
    append(telemetry, "s", [(NOW, "one")])
    with pytest.raises(CallerError, match="nextToken is invalid"):
        read(telemetry, token=token)
