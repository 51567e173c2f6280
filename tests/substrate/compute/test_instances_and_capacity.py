"""Instance types are facts with sources; capacity is never promised twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.compute import Capacity, Catalogue, host
from sagebrush.substrate.compute.capacity import MOST_PROCESSES
from sagebrush.substrate.compute.tables import reservations
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.store import Schema, Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    schema = Schema("capacity", ("sagebrush.substrate.compute.tables",))
    reservations.to_metadata(schema.metadata)
    opened = open_store(schema, path=tmp_path / "capacity.db", clock=SystemClock())
    yield opened
    opened.close()


def test_the_catalogue_knows_types_and_no_price_without_source_and_date() -> None:
    catalogue = Catalogue()
    types = list(catalogue)
    assert len(types) == 392
    large = catalogue.get("ml.m5.large")
    assert large is not None
    assert (large.vcpus, large.memory_gib, large.gpus, "training" in large.uses) == (2, 8.0, 0, True)
    assert large.memory_bytes == 8 * 2**30
    gpu = catalogue.get("ml.p4d.24xlarge")
    assert gpu is not None
    assert (gpu.gpus, gpu.vcpus) == (8, 96)
    priced = [t for t in types if t.price_usd_per_hour is not None]
    assert len(priced) == 142
    assert all(t.price_source and t.price_date and t.price_scope and t.price_usd_per_hour for t in priced)
    assert [t.name for t in types if not t.vcpus] == ["ml.geospatial.interactive"]
    assert catalogue.get("ml.m5.enormous") is None


def test_the_host_has_cpus_and_memory() -> None:
    assert host.cpus() > 0
    assert host.memory_gib() > 0.1


def test_a_type_bigger_than_the_host_is_clamped_and_says_so() -> None:
    capacity, catalogue = Capacity(4, 10.0), Catalogue()
    small, big = catalogue.get("ml.m5.large"), catalogue.get("ml.m5.4xlarge")
    assert small is not None
    assert big is not None
    exact = capacity.fit(small)
    assert (exact.vcpus, exact.memory_gib, exact.notice, exact.failure) == (2, 8.0, "", None)
    assert (exact.limits.cpus, exact.limits.memory_bytes, exact.limits.pids) == (2, 8 * 2**30, MOST_PROCESSES)
    clamped = capacity.fit(big, 2)
    assert (clamped.vcpus, clamped.memory_gib) == (4, 10.0)
    assert (clamped.limits.cpus, clamped.limits.memory_bytes) == (2, 5 * 2**30)
    assert clamped.notice.startswith("2 x ml.m5.4xlarge has 32 vCPU and 128 GiB, this host offers 4 vCPU and 10.0 GiB")
    capacity.check(big)


def test_strict_mode_refuses_a_type_bigger_than_the_host() -> None:
    capacity, big = Capacity(4, 10.0, strict=True), Catalogue().get("ml.m5.4xlarge")
    assert big is not None
    failure = capacity.fit(big).failure
    assert failure is not None
    assert failure.reason().startswith("CapacityError: 1 x ml.m5.4xlarge has 16 vCPU")
    with pytest.raises(CallerError, match=r"ResourceLimitExceeded: 1 x ml\.m5\.4xlarge"):
        capacity.check(big)


def test_a_type_of_unknown_size_takes_the_whole_host() -> None:
    unknown = Catalogue().get("ml.geospatial.interactive")
    assert unknown is not None
    fit = Capacity(4, 10.0).fit(unknown)
    assert (fit.vcpus, fit.memory_gib) == (4, 10.0)


def test_admission_is_refused_when_full_and_open_again_after_a_release(store: Store) -> None:
    capacity = Capacity(4, 16.0)

    def admit(owner: str, vcpus: float, memory: float) -> bool:
        return store.write(lambda tx: capacity.admit(tx, owner_id=owner, vcpus=vcpus, memory_gib=memory))

    assert admit("a", 2, 8.0)
    assert admit("a", 2, 8.0)
    assert admit("b", 2, 4.0)
    assert not admit("c", 1, 1.0)
    store.write(lambda tx: capacity.release(tx, "b"))
    store.write(lambda tx: capacity.release(tx, "nobody"))
    assert not admit("c", 1, 9.0)
    assert admit("c", 1, 1.0)
    assert store.read(capacity.used) == (3.0, 9.0)


def test_a_wish_beyond_the_host_gets_all_of_it_and_keeps_others_out(store: Store) -> None:
    capacity = Capacity(4, 16.0)
    assert store.write(lambda tx: capacity.admit(tx, owner_id="huge", vcpus=96, memory_gib=1000))
    assert not store.write(lambda tx: capacity.admit(tx, owner_id="tiny", vcpus=0.1, memory_gib=0.1))


def test_the_sum_of_reservations_never_exceeds_the_host_whoever_asks_at_once(store: Store) -> None:
    capacity = Capacity(3, 64.0)
    gate = threading.Barrier(8)

    def churn(worker: int) -> int:
        gate.wait()
        admitted = 0
        for turn in range(15):
            owner = f"{worker}-{turn}"
            if store.write(lambda tx, o=owner: capacity.admit(tx, owner_id=o, vcpus=1, memory_gib=1)):  # type: ignore[misc]
                admitted += 1
                assert store.read(capacity.used)[0] <= 3
                store.write(lambda tx, o=owner: capacity.release(tx, o))  # type: ignore[misc]
        return admitted

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(churn, range(8))) > 0
    assert store.read(capacity.used) == (0.0, 0.0)
