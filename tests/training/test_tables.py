"""The capability's own SQL, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.store import Store
from sagebrush.training import tables
from tests.conftest import Database

STREAMS = [("algo-1", "job/algo-1-1")]


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    opened = database.open()
    yield opened
    opened.close()


def queued(store: Store, *ids: str) -> list[tables.Attempt]:
    for resource_id in ids:
        store.write(lambda tx, resource_id=resource_id: tables.enqueue(tx, resource_id, 1))  # type: ignore[misc]
    found = [store.read(lambda c, i=resource_id: tables.last_attempt(c, i)) for resource_id in ids]  # type: ignore[misc]
    return [attempt for attempt in found if attempt is not None]


def test_the_queue_is_in_the_order_of_entering_it(store: Store) -> None:
    b, a, c = queued(store, "b", "a", "c")
    assert [store.read(lambda conn, x=x: tables.ahead_of(conn, x)) for x in (b, a, c)] == [0, 1, 2]  # type: ignore[misc]
    assert store.read(lambda conn: tables.next_in_queue(conn, 2)) == ["b", "a"]
    store.write(lambda tx: tables.set_building(tx, b, True))
    assert store.read(lambda conn: tables.ahead_of(conn, c)) == 1
    store.write(lambda tx: tables.end(tx, "a", 9))
    assert store.read(lambda conn: tables.ahead_of(conn, c)) == 0


def test_entering_the_queue_again_changes_nothing(store: Store) -> None:
    (first,) = queued(store, "a")
    assert queued(store, "a") == [first]


def test_an_attempt_is_admitted_once(store: Store) -> None:
    (attempt,) = queued(store, "a")
    store.write(lambda tx: tables.admit(tx, attempt, 5, STREAMS))
    with pytest.raises(Fault, match="not in the queue"):
        store.write(lambda tx: tables.admit(tx, attempt, 6, STREAMS))
    assert store.read(lambda conn: tables.is_live(conn, "a", 1))
    assert not store.read(lambda conn: tables.is_live(conn, "a", 2))
    assert store.read(lambda conn: tables.first_admitted_us(conn, "a")) == 5
    store.write(lambda tx: tables.end(tx, "a", 9))
    assert not store.read(lambda conn: tables.is_live(conn, "a", 1))


def test_a_part_of_a_log_is_recorded_once(store: Store) -> None:
    (attempt,) = queued(store, "a")
    store.write(lambda tx: tables.admit(tx, attempt, 5, STREAMS))
    store.write(lambda tx: tables.advance_log(tx, "a", 1, "algo-1", 0, 10))
    with pytest.raises(tables.LogMoved):
        store.write(lambda tx: tables.advance_log(tx, "a", 1, "algo-1", 0, 10))
    assert store.read(lambda conn: tables.host_logs(conn, "a", 1)) == [tables.HostLog("algo-1", "job/algo-1-1", 10)]


def test_the_first_reason_for_ending_an_attempt_stays(store: Store) -> None:
    (attempt,) = queued(store, "a")
    store.write(lambda tx: tables.set_ending(tx, attempt, "runtime"))
    store.write(lambda tx: tables.set_ending(tx, attempt, "wait"))
    found = store.read(lambda conn: tables.last_attempt(conn, "a"))
    assert found is not None
    assert found.ending == "runtime"


def test_the_last_value_of_each_metric_is_kept_and_forgotten_with_the_job(store: Store) -> None:
    store.write(lambda tx: tables.put_metrics(tx, "a", [("loss", 0.5, 1), ("acc", 0.25, 1)]))
    store.write(lambda tx: tables.put_metrics(tx, "a", [("loss", 0.125, 2)]))
    assert store.read(lambda conn: tables.metrics_of(conn, "a")) == [
        {"name": "acc", "value": 0.25, "timestamp_us": 1},
        {"name": "loss", "value": 0.125, "timestamp_us": 2},
    ]
    store.write(lambda tx: tables.forget(tx, "a"))
    assert store.read(lambda conn: tables.metrics_of(conn, "a")) == []
