from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import Again, Done, Lease, Outcome, ReconcileLoop, process_identity
from sagebrush.substrate.reconcile.leases import LEASE_SECONDS, Leases
from sagebrush.substrate.resources import (
    Row,
    fetch_by_id,
    insert,
    soft_delete,
    transition,
    update_body,
)
from sagebrush.substrate.resources.tables import resources
from sagebrush.substrate.store import STATE, StoreUnavailable, open_store
from tests.conftest import Database
from tests.substrate.declared import JOB, call_on, platform_on

Step = Callable[[Platform, Row, Lease], Outcome]


class Recording:
    """A reconciler made of one function; remembers every step."""

    resource = JOB

    def __init__(self, step: Step):
        self._step = step
        self.given_up: list[Exception] = []
        self.rows: list[Row] = []
        self.leases: list[Lease] = []
        self._changed = threading.Condition()

    def step(self, platform: Platform, row: Row, lease: Lease) -> Outcome:
        with self._changed:
            self.rows.append(row)
            self.leases.append(lease)
            self._changed.notify_all()
        return self._step(platform, row, lease)

    def give_up(self, platform: Platform, row: Row, lease: Lease, error: Exception) -> Outcome:
        self.given_up.append(error)
        return complete(platform, row, lease)

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.rows) >= count, 30), f"only {len(self.rows)} steps"


def eventually(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.002)


@pytest.fixture
def start(platform: Platform) -> Iterator[Callable[..., Recording]]:
    """Starts loops and stops them."""
    loops: list[ReconcileLoop] = []

    def begin(step: Step, *, on: Platform = platform, threads: int = 4) -> Recording:
        reconciler = Recording(step)
        loops.append(ReconcileLoop(on, [reconciler], threads))
        loops[-1].start()
        return reconciler

    yield begin
    for loop in loops:
        assert loop.stop(30)


def create(platform: Platform, name: str = "job", **body: Any) -> Row:
    call = call_on(platform)
    return platform.store.write(lambda tx: insert(tx, JOB, call=call, name=name, body=body))


def stored(platform: Platform, row: Row) -> dict[str, Any]:
    where = select(resources).where(resources.c.id == row.id)
    return dict(platform.store.read(lambda c: c.execute(where).mappings().one()))


def asleep(platform: Platform, row: Row) -> bool:
    now = stored(platform, row)
    return now["wake_at_us"] is None and now["lease_owner"] is None


def complete(platform: Platform, row: Row, lease: Lease) -> Done:
    platform.store.write(lambda tx: transition(tx, JOB, row, "complete", now_us=1, lease=lease))
    return Done()


def test_what_is_created_is_stepped_until_it_is_done(platform: Platform, start: Callable[..., Recording]) -> None:
    reconciler = start(complete)
    row = create(platform)
    eventually(lambda: stored(platform, row)["status"] == "Completed")
    eventually(lambda: asleep(platform, row))
    assert len(reconciler.rows) == 1
    assert reconciler.rows[0].lease_token == reconciler.leases[0].token == 1


def test_what_was_there_before_the_loop_is_taken_up(platform: Platform, start: Callable[..., Recording]) -> None:
    rows = [create(platform, f"job-{number}") for number in range(30)]
    start(complete, threads=2)
    eventually(lambda: all(stored(platform, row)["status"] == "Completed" for row in rows))


def test_done_puts_a_resource_to_sleep_until_an_operation_wakes_it(
    platform: Platform, start: Callable[..., Recording]
) -> None:
    reconciler = start(lambda *_: Done())
    row = create(platform)
    eventually(lambda: asleep(platform, row))
    current = platform.store.read(lambda c: fetch_by_id(c, row.id))
    assert current is not None
    call = call_on(platform, "StopTrainingJob")
    platform.store.write(lambda tx: transition(tx, JOB, current, "stop", now_us=1, call=call))
    reconciler.wait_for(2)
    assert [row.status for row in reconciler.rows] == ["InProgress", "Stopping"]
    assert reconciler.leases[1].token == 2


def test_a_wake_up_during_the_last_step_is_not_lost(platform: Platform, start: Callable[..., Recording]) -> None:
    inside, leave = threading.Event(), threading.Event()

    def step(_: Platform, row: Row, lease: Lease) -> Done:
        if row.generation == 1:
            inside.set()
            assert leave.wait(30)
        return Done()

    reconciler = start(step)
    row = create(platform)
    assert inside.wait(30)
    call = call_on(platform, "StopTrainingJob")
    platform.store.write(lambda tx: update_body(tx, row, {"Asked": True}, now_us=1, call=call))
    leave.set()
    reconciler.wait_for(2)
    assert reconciler.rows[1].body == {"Asked": True}
    eventually(lambda: asleep(platform, row))


def test_waiting_steps_commit_nothing(platform: Platform, start: Callable[..., Recording]) -> None:
    reconciler = start(lambda *_: Again(0.001))
    row = create(platform)
    reconciler.wait_for(1)
    before = platform.store.stats()
    reconciler.wait_for(50)
    assert platform.store.stats() == before
    assert {lease.token for lease in reconciler.leases} == {1}
    assert stored(platform, row)["lease_token"] == 1


def test_an_idle_loop_commits_nothing(database: Database) -> None:
    clock = ManualClock()
    store = database.open(clock=clock)
    platform = platform_on(store, clock)
    loop = ReconcileLoop(platform, [Recording(complete)], 2)
    loop.start()
    before = store.stats()
    for _ in range(20):
        clock.advance(LEASE_SECONDS)
        platform.wakeups.notify("nobody")
        eventually(lambda: not platform.wakeups._ids)
    assert loop.stop(30)
    assert store.stats() == before
    store.close()


def test_a_wake_up_ends_a_long_wait(platform: Platform, start: Callable[..., Recording]) -> None:
    reconciler = start(lambda p, row, lease: Again(3600) if row.status == "InProgress" else Done())
    row = create(platform)
    reconciler.wait_for(1)
    call = call_on(platform, "StopTrainingJob")
    platform.store.write(lambda tx: transition(tx, JOB, row, "stop", now_us=1, call=call))
    reconciler.wait_for(2)
    assert reconciler.rows[1].status == "Stopping"


def test_a_change_without_a_wake_up_is_found_by_the_safety_look(
    platform: Platform, start: Callable[..., Recording]
) -> None:
    """As another control plane on the same database would leave it."""
    reconciler = start(lambda *_: Done())
    row = create(platform)
    eventually(lambda: asleep(platform, row))
    where = resources.c.id == row.id
    platform.store.write(lambda tx: tx.execute(update(resources).where(where).values(wake_at_us=1)))
    reconciler.wait_for(2)


def test_steps_of_one_resource_never_overlap_and_those_of_others_do(
    platform: Platform, start: Callable[..., Recording]
) -> None:
    inside: dict[str, int] = {}
    overlaps: list[str] = []
    guard = threading.Lock()
    together = threading.Barrier(3)

    def step(p: Platform, row: Row, lease: Lease) -> Outcome:
        with guard:
            inside[row.id] = inside.get(row.id, 0) + 1
            if inside[row.id] > 1:
                overlaps.append(row.id)
        p.wakeups.notify(row.id)
        if row.generation == 1:
            together.wait(30)
            p.store.write(lambda tx: update_body(tx, row, {"met": True}, now_us=1, lease=lease))
        with guard:
            inside[row.id] -= 1
        return Again(0.001)

    reconciler = start(step, threads=4)
    rows = [create(platform, f"job-{number}") for number in range(3)]
    eventually(lambda: all(stored(platform, row)["generation"] == 2 for row in rows))
    reconciler.wait_for(len(reconciler.rows) + 50)
    assert overlaps == []


def test_a_step_that_raises_is_logged_with_its_arn_and_tried_again_later_and_later(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    store = database.open(clock=clock)
    platform = platform_on(store, clock)
    started: list[int] = []

    def step(*_: object) -> Outcome:
        started.append(clock.now_us())
        if len(started) <= 8:
            raise StoreUnavailable("the disk is on fire")
        return Done()

    reconciler = Recording(step)
    loop = ReconcileLoop(platform, [reconciler], 2)
    loop.start()
    row = create(platform)
    for count in range(1, 9):
        reconciler.wait_for(count)
        eventually(lambda count=count: caplog.text.count("failed") >= count)  # type: ignore[misc]
        clock.advance(min(60, 2 ** (count - 1)))
    reconciler.wait_for(9)
    eventually(lambda: asleep(platform, row))
    assert loop.stop(30)
    store.close()
    waits = [(after - before) // 1_000_000 for before, after in pairwise(started)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert row.arn in caplog.text
    assert "StoreUnavailable: the disk is on fire" in caplog.text
    assert reconciler.given_up == []


def step_until_given_up(database: Database, error: Exception, steps: int, *, wake: bool = False) -> Recording:
    """Steps that always fail, on a clock that the test moves; until it gives up or after ``steps`` of them."""
    clock = ManualClock()
    store = database.open(clock=clock)
    platform = platform_on(store, clock)

    def step(*_: object) -> Outcome:
        raise error

    reconciler = Recording(step)
    loop = ReconcileLoop(platform, [reconciler], 2)
    loop.start()
    row = create(platform)

    def over() -> bool:
        if wake:
            platform.wakeups.notify(row.id)
        else:
            clock.advance(1)
        return bool(reconciler.given_up) or len(reconciler.rows) >= steps

    eventually(over)
    assert loop.stop(30)
    store.close()
    return reconciler


def test_what_failed_for_a_minute_is_given_up_with_the_last_error(database: Database) -> None:
    error = RuntimeError("a defect")
    reconciler = step_until_given_up(database, error, 20)
    assert reconciler.given_up == [error]
    assert len(reconciler.rows) in (6, 7)


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("away"),
        OperationalError("SELECT 1", {}, Exception("locked")),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_store_that_is_away_or_a_full_disk_gives_nothing_up(database: Database, error: Exception) -> None:
    assert step_until_given_up(database, error, 9).given_up == []


def test_many_wake_ups_in_a_short_trouble_give_nothing_up(database: Database) -> None:
    assert step_until_given_up(database, RuntimeError("short"), 12, wake=True).given_up == []


def test_a_row_that_changes_under_a_step_is_looked_at_again_at_once(
    platform: Platform, start: Callable[..., Recording], caplog: pytest.LogCaptureFixture
) -> None:
    def step(p: Platform, row: Row, lease: Lease) -> Outcome:
        if row.status == "InProgress":
            call = call_on(p, "StopTrainingJob")
            p.store.write(lambda tx: transition(tx, JOB, row, "stop", now_us=1, call=call))
            return complete(p, row, lease)
        p.store.write(lambda tx: transition(tx, JOB, row, "stopped", now_us=2, lease=lease))
        return Done()

    start(step)
    row = create(platform)
    eventually(lambda: stored(platform, row)["status"] == "Stopped")
    assert "failed" not in caplog.text


def test_a_row_that_always_conflicts_is_a_failure_in_the_end(
    platform: Platform, start: Callable[..., Recording], caplog: pytest.LogCaptureFixture
) -> None:
    def step(p: Platform, row: Row, lease: Lease) -> Outcome:
        return complete(p, replace(row, generation=99), lease)

    start(step)
    create(platform)
    eventually(lambda: "failed 1 times" in caplog.text)


def test_a_deleted_resource_is_let_go(platform: Platform, start: Callable[..., Recording]) -> None:
    reconciler = start(lambda *_: Again(0.001))
    row = create(platform)
    reconciler.wait_for(1)
    platform.store.write(lambda tx: soft_delete(tx, row, now_us=1))
    assert stored(platform, row)["lease_owner"] is None
    again = create(platform)
    eventually(lambda: sum(seen.id == again.id for seen in reconciler.rows) >= 10)
    ids = [seen.id for seen in reconciler.rows]
    # At most the step that had read its row already came after the other's first.
    assert row.id not in ids[ids.index(again.id) + 2 :]


def test_stopping_gives_the_leases_back_and_loses_nothing(platform: Platform) -> None:
    reconciler = Recording(lambda *_: Again(3600))
    loop = ReconcileLoop(platform, [reconciler], 2)
    loop.start()
    states = [loop.running]
    rows = [create(platform, f"job-{number}") for number in range(3)]
    reconciler.wait_for(3)
    assert loop.stop(30)
    assert [*states, loop.running] == [True, False]
    for row in rows:
        assert stored(platform, row)["lease_owner"] is None
        assert stored(platform, row)["wake_at_us"] is not None


def test_stopping_waits_for_the_running_step_and_says_when_it_gave_up(platform: Platform) -> None:
    inside, leave = threading.Event(), threading.Event()

    def step(*_: object) -> Outcome:
        inside.set()
        assert leave.wait(30)
        return Done()

    loop = ReconcileLoop(platform, [Recording(step)], 1)
    loop.start()
    row = create(platform)
    assert inside.wait(30)
    assert loop.stop(0.01) is False
    assert stored(platform, row)["lease_owner"] is not None
    leave.set()
    eventually(lambda: asleep(platform, row))


def test_a_loop_that_never_started_stops(platform: Platform) -> None:
    assert ReconcileLoop(platform, [], 2).stop()


def test_leases_are_renewed_while_a_resource_is_in_hand(database: Database) -> None:
    clock = ManualClock()
    store = open_store(STATE, path=database.path, clock=clock)
    platform = platform_on(store, clock)
    reconciler = Recording(lambda *_: Again(3600))
    loop = ReconcileLoop(platform, [reconciler], 1)
    loop.start()
    row = create(platform)
    reconciler.wait_for(1)
    for _ in range(6):
        until = stored(platform, row)["lease_until_us"]
        clock.advance(LEASE_SECONDS / 2)
        eventually(lambda until=until: stored(platform, row)["lease_until_us"] > until)  # type: ignore[misc]
    assert stored(platform, row)["lease_token"] == 1
    assert len(reconciler.rows) == 1
    assert loop.stop(30)
    store.close()


class TestLeases:
    """Taking and losing, without a loop."""

    @pytest.fixture
    def held(self, platform: Platform) -> tuple[Leases, Lease, Row]:
        row = create(platform)
        mine = Leases(platform.store, "boot/ns/1/1/mine")
        (lease,) = mine.take(["training-job"], (), 10)
        return mine, lease, row

    def test_what_one_holds_another_does_not_get(self, platform: Platform, held: tuple[Leases, Lease, Row]) -> None:
        mine, lease, row = held
        alive = Leases(platform.store, f"{process_identity()}/a")
        mine.give_back([lease])
        (taken,) = alive.take(["training-job"], (), 10)
        other = Leases(platform.store, f"{process_identity()}/b")
        assert not other.due(["training-job"], ())
        assert other.take(["training-job"], (), 10) == []
        assert (taken.token, alive.renew()) == (2, {row.id})

    def test_a_lease_that_ran_out_is_taken_with_a_higher_token(self, database: Database) -> None:
        store = database.open()
        platform = platform_on(store)
        row = create(platform)
        first = Leases(store, f"{process_identity()}/a")
        (lost,) = first.take(["training-job"], (), 10)
        where = resources.c.id == row.id
        store.write(lambda tx: tx.execute(update(resources).where(where).values(lease_until_us=0)))
        (taken,) = Leases(store, f"{process_identity()}/b").take(["training-job"], (), 10)
        assert taken.token == lost.token + 1
        assert first.renew() == set()
        assert first.put_to_sleep(lost, 0) is False
        assert stored(platform, row)["lease_owner"] == taken.owner
        store.close()

    def test_other_kinds_and_what_is_due_later_are_left_alone(self, platform: Platform) -> None:
        row = create(platform)
        leases = Leases(platform.store, "boot/ns/1/1/x")
        assert not leases.due(["endpoint"], ())
        assert not leases.due(["training-job"], {row.id})
        later = platform.clock.now_us() + 3_600_000_000
        where = resources.c.id == row.id
        platform.store.write(lambda tx: tx.execute(update(resources).where(where).values(wake_at_us=later)))
        assert not leases.due(["training-job"], ())

    def test_no_more_than_the_limit_is_taken_the_longest_due_first(self, platform: Platform) -> None:
        rows = [create(platform, f"job-{number}") for number in range(5)]
        leases = Leases(platform.store, "boot/ns/1/1/x")
        taken = leases.take(["training-job"], (), 2)
        assert [lease.resource_id for lease in taken] == [row.id for row in rows[:2]]
