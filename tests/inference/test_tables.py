"""The capability's own SQL, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sagebrush.inference import tables
from sagebrush.inference.tables import DRAINING, READY, STARTING, Replica
from sagebrush.substrate.store import Store
from tests.conftest import Database


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    opened = database.open()
    yield opened
    opened.close()


def replica(name: str, **changes: Any) -> Replica:
    values: dict[str, Any] = {
        "id": name,
        "endpoint_id": "e",
        "revision": 1,
        "variant": "v",
        "slot": 1,
        "state": STARTING,
        "workers": 2,
        "timeout_seconds": 60.0,
        "ends": 0,
        "failures": 0,
        "start_at_us": 5,
    }
    return Replica(**(values | changes))


def states(store: Store) -> dict[str, str]:
    return {r.id: r.state for r in store.read(lambda conn: tables.replicas_of(conn, "e"))}


def test_replicas_are_what_they_were_recorded_as(store: Store) -> None:
    store.write(lambda tx: tables.add_replicas(tx, []))
    first = replica("a", timeout_seconds=2.5, ends=3, failures=2)
    store.write(lambda tx: tables.add_replicas(tx, [replica("b"), first, replica("c")]))
    store.write(lambda tx: tables.add_replicas(tx, [replica("x", endpoint_id="other")]))
    assert [r.id for r in store.read(lambda conn: tables.replicas_of(conn, "e"))] == ["a", "b", "c"]
    assert store.read(lambda conn: tables.find_replica(conn, "a")) == first
    assert replica("a").sockets == ("s0", "s1")
    store.write(lambda tx: tables.remove_replica(tx, "a"))
    assert store.read(lambda conn: tables.find_replica(conn, "a")) is None


def test_a_replica_goes_one_way_only(store: Store) -> None:
    store.write(lambda tx: tables.add_replicas(tx, [replica("a"), replica("b")]))
    assert store.write(lambda tx: tables.set_launched(tx, "a", 6))
    assert not store.write(lambda tx: tables.set_launched(tx, "a", 7))
    store.write(lambda tx: tables.set_ready(tx, ["a"], 8))
    store.write(lambda tx: tables.set_draining(tx, ["a", "b"], 9))
    store.write(lambda tx: tables.set_ready(tx, ["a", "b"], 10))
    store.write(lambda tx: tables.set_draining(tx, ["a"], 11))
    assert states(store) == {"a": DRAINING, "b": DRAINING}
    found = store.read(lambda conn: tables.find_replica(conn, "a"))
    assert found is not None
    assert (found.launched_us, found.ready_us, found.drained_us) == (6, 8, 9)
    assert READY not in states(store).values()


def test_a_part_of_a_log_or_spool_is_recorded_once(store: Store) -> None:
    store.write(lambda tx: tables.add_replicas(tx, [replica("a")]))
    store.write(lambda tx: tables.advance_log(tx, "a", 0, 10))
    with pytest.raises(tables.Moved):
        store.write(lambda tx: tables.advance_log(tx, "a", 0, 10))
    store.write(lambda tx: tables.advance_spool(tx, "e", "f", 0, 10))
    store.write(lambda tx: tables.advance_spool(tx, "e", "f", 10, 20))
    with pytest.raises(tables.Moved):
        store.write(lambda tx: tables.advance_spool(tx, "e", "f", 10, 20))
    assert store.read(lambda conn: tables.spool_positions(conn, "e")) == {"f": 20}
    store.write(lambda tx: tables.forget_spool(tx, "e", ["f"]))
    assert store.read(lambda conn: tables.spool_positions(conn, "e")) == {}


def test_the_version_of_the_routes_grows_with_every_change_and_no_other(store: Store) -> None:
    def version() -> int:
        return store.read(tables.version)

    assert version() == 0
    assert store.write(lambda tx: tables.put_route(tx, "e", "name", {"status": "Creating"}))
    assert not store.write(lambda tx: tables.put_route(tx, "e", "name", {"status": "Creating"}))
    assert version() == 1
    assert store.write(lambda tx: tables.put_route(tx, "e", "name", {"status": "InService"}))
    assert store.read(tables.all_routes) == (2, {"name": {"status": "InService"}})
    store.write(lambda tx: tables.raise_version(tx, 10))
    store.write(lambda tx: tables.raise_version(tx, 5))
    assert version() == 10
    assert store.write(lambda tx: tables.drop_route(tx, "e"))
    assert not store.write(lambda tx: tables.drop_route(tx, "e"))
    assert store.read(tables.all_routes) == (11, {})


def test_artefacts_are_kept_by_revision_and_forgotten_with_the_endpoint(store: Store) -> None:
    assert store.read(lambda conn: tables.artefacts_of(conn, "e", 1)) is None
    for number in (1, 2):
        store.write(lambda tx, n=number: tables.put_artefacts(tx, "e", n, {"v": [{"path": "p"}]}))  # type: ignore[misc]
    assert store.read(lambda conn: tables.artefacts_of(conn, "e", 1)) == {"v": [{"path": "p"}]}
    assert sorted(store.read(lambda conn: tables.revisions_with_artefacts(conn, "e"))) == [1, 2]
    store.write(lambda tx: tables.drop_artefacts(tx, "e", 1))
    assert store.read(lambda conn: tables.revisions_with_artefacts(conn, "e")) == [2]
    store.write(lambda tx: tables.add_replicas(tx, [replica("a")]))
    store.write(lambda tx: tables.forget(tx, "e"))
    assert states(store) == {}
    assert store.read(lambda conn: tables.revisions_with_artefacts(conn, "e")) == []
