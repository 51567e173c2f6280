"""The loop: one thread decides what is due, a bounded pool takes the steps."""

from __future__ import annotations

import errno
import heapq
import itertools
import logging
import queue
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from sagebrush.substrate import faultpoints
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile.leases import LEASE_SECONDS, Leases
from sagebrush.substrate.reconcile.owner import process_identity
from sagebrush.substrate.reconcile.reconciler import Again, Done, Outcome, Reconciler
from sagebrush.substrate.resources.lease import Conflict, Lease, LeaseLost
from sagebrush.substrate.resources.resource import Row
from sagebrush.substrate.resources.rows import fetch_by_id
from sagebrush.substrate.store import StoreClosed, StoreUnavailable

log = logging.getLogger(__name__)

#: Seconds between looks at the database when nobody wakes the loop.
LOOK_SECONDS = 1.0
FIRST_BACKOFF_SECONDS = 1.0
LAST_BACKOFF_SECONDS = 60.0
#: Times in a row that a row may change under a step before it counts as a failure.
CONFLICTS_ALLOWED = 5
#: A resource is given up when its steps failed so often in a row and for so long. Both, because wake-ups shorten the
#: delays and must not turn a short trouble into the end of a job.
FAILURES_ALLOWED = 6
GIVE_UP_SECONDS = 60.0

BEFORE_STEP = faultpoints.declare("reconcile.before-step")
AFTER_STEP = faultpoints.declare("reconcile.after-step")


@dataclass(slots=True, eq=False)
class _Held:
    """A resource in this loop's hands. ``at_us``: when its next step is due, on the monotonic clock."""

    lease: Lease
    at_us: int
    running: bool = False
    woken: bool = False
    failures: int = 0
    conflicts: int = 0
    #: Failures in a row that count towards giving up, and when the first of them was, on the monotonic clock.
    defects: int = 0
    defect_since_us: int = 0


class ReconcileLoop:
    """Holds each resource it works on under one lease until a step says Done; waits cost no commit."""

    def __init__(self, platform: Platform, reconcilers: Sequence[Reconciler], threads: int):
        self._platform = platform
        self._reconcilers = {reconciler.resource.kind: reconciler for reconciler in reconcilers}
        self._leases = Leases(platform.store, f"{process_identity()}/{uuid.uuid4().hex[:8]}")
        self._held: dict[str, _Held] = {}
        self._timers: list[tuple[int, int, _Held]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ready: queue.SimpleQueue[_Held | None] = queue.SimpleQueue()
        self._scheduler = threading.Thread(target=self._schedule, name="reconcile-loop", daemon=True)
        self._workers = [
            threading.Thread(target=self._work, name=f"reconcile-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Begin; everything that is due and free (or its owner dead) is taken up at once."""
        for thread in (*self._workers, self._scheduler):
            thread.start()

    def stop(self, timeout_seconds: float | None = None) -> bool:
        """Let the running steps finish, begin no more, give the leases back.

        False when a step was still running after ``timeout_seconds`` (None waits); its lease then ends with this
        process.
        """
        self._stopping.set()
        self._platform.wakeups.event.set()
        if not self._scheduler.is_alive() and not any(worker.is_alive() for worker in self._workers):
            return True
        self._scheduler.join()
        for _ in self._workers:
            self._ready.put(None)
        until = self._platform.clock.monotonic_us() + int((timeout_seconds or 0) * 1e6)
        for worker in self._workers:
            left = (until - self._platform.clock.monotonic_us()) / 1e6
            worker.join(None if timeout_seconds is None else max(0.0, left))
        with self._lock:
            finished = [held.lease for held in self._held.values() if not held.running]
            running = len(self._held) - len(finished)
            self._held.clear()
        self._leases.give_back(finished)
        return running == 0

    @property
    def running(self) -> bool:
        """Whether the loop looks after things."""
        return self._scheduler.is_alive() and not self._stopping.is_set()

    # -- the scheduler's thread -------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        clock = self._platform.clock
        look_at = clock.monotonic_us()
        renew_at = look_at + _microseconds(LEASE_SECONDS / 3)
        while not self._stopping.is_set():
            now = clock.monotonic_us()
            try:
                if self._wake(self._platform.wakeups.take(), now) or now >= look_at:
                    look_at = now if self._claim(now) else now + _microseconds(LOOK_SECONDS)
                if now >= renew_at:
                    self._renew()
                    renew_at = now + _microseconds(LEASE_SECONDS / 3)
                next_at = self._start_due(clock.monotonic_us())
            except Exception:
                # A full disk or a database away for a moment must not end the loop; it looks again.
                log.exception("the reconcile loop stumbled; it looks again in %.0f s", LOOK_SECONDS)
                look_at = next_at = renew_at = now + _microseconds(LOOK_SECONDS)
            clock.sleep_until(min(look_at, renew_at, next_at), self._platform.wakeups.event)

    def _wake(self, ids: set[str], now: int) -> bool:
        """Move held resources up; True when some are not held here."""
        unknown = False
        with self._lock:
            for resource_id in ids:
                held = self._held.get(resource_id)
                if held is None:
                    unknown = True
                elif held.running:
                    held.woken = True
                else:
                    self._due_at(held, now)
        return unknown

    def _claim(self, now: int) -> bool:
        """Take what is due; True when there may be more."""
        kinds = list(self._reconcilers)
        with self._lock:
            holding = set(self._held)
        if not kinds or not self._leases.due(kinds, holding):
            return False
        limit = 10 * len(self._workers)
        taken = self._leases.take(kinds, holding, limit)
        with self._lock:
            for lease in taken:
                held = self._held[lease.resource_id] = _Held(lease, now)
                self._due_at(held, now)
        return len(taken) == limit

    def _renew(self) -> None:
        with self._lock:
            idle = [resource_id for resource_id, held in self._held.items() if not held.running]
            nothing_held = not self._held
        if nothing_held:
            return
        still_mine = self._leases.renew()
        with self._lock:
            for resource_id in idle:
                # A step that runs finds out by itself when it records.
                if resource_id not in still_mine and not self._held[resource_id].running:
                    log.warning("the lease of %s was lost", resource_id)
                    del self._held[resource_id]

    def _due_at(self, held: _Held, at_us: int) -> None:
        """Set when the next step is due; the caller holds the lock."""
        held.at_us = at_us
        heapq.heappush(self._timers, (at_us, next(self._order), held))

    def _start_due(self, now: int) -> int:
        """Hand due resources to the workers; when the next one is due."""
        with self._lock:
            while self._timers:
                at_us, _, held = self._timers[0]
                # An entry that a later one replaced, or of a resource given back, means nothing any more.
                stale = held.running or held.at_us != at_us or self._held.get(held.lease.resource_id) is not held
                if not stale and at_us > now:
                    return at_us
                heapq.heappop(self._timers)
                if not stale:
                    held.running = True
                    self._ready.put(held)
        return now + _microseconds(LOOK_SECONDS)

    # -- the workers' threads ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (held := self._ready.get()) is not None:
            if self._stopping.is_set():
                held.running = False
                continue
            try:
                self._step(held)
            except Exception:
                # Only our own bookkeeping can get here: a database away while giving a lease back.
                log.exception("after a step of %s", held.lease.resource_id)
                self._again(held, LOOK_SECONDS)

    def _step(self, held: _Held) -> None:
        """Take one step and decide what is next."""
        row = self._platform.store.read(lambda connection: fetch_by_id(connection, held.lease.resource_id))
        if row is None:
            self._let_go(held)
            return
        try:
            try:
                faultpoints.reach(BEFORE_STEP)
                outcome: Outcome = self._reconcilers[row.kind].step(self._platform, row, held.lease)
                faultpoints.reach(AFTER_STEP)
                held.failures = held.conflicts = held.defects = 0
            except (LeaseLost, Conflict):
                raise
            except Exception as error:
                outcome = self._failed(held, row, error)
                if self._is_hopeless(held, error):
                    outcome = self._give_up(held, row, error, outcome)
        except LeaseLost as lost:
            log.warning("%s", lost)
            self._let_go(held)
            return
        except Conflict as conflict:
            held.conflicts += 1
            # The row changed under the step (a stop, say): look at the new one at once.
            outcome = Again() if held.conflicts <= CONFLICTS_ALLOWED else self._failed(held, row, conflict)
        if isinstance(outcome, Done):
            if self._leases.put_to_sleep(held.lease, row.wakes):
                held.woken = True
            self._let_go(held)
        else:
            self._again(held, outcome.after_seconds)

    def _failed(self, held: _Held, row: Row, error: Exception) -> Again:
        held.failures += 1
        # The exponent is bounded too: a database may be away for days.
        delay = min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(held.failures - 1, 16))
        message = "a step of %s failed %d times; again in %.0f s (resource %s)"
        log.error(message, row.arn, held.failures, delay, row.id, exc_info=error)
        return Again(delay)

    def _is_hopeless(self, held: _Held, error: Exception) -> bool:
        """Count a failure; whether the resource is to be given up."""
        if _may_pass(error):
            return False
        now = self._platform.clock.monotonic_us()
        held.defects += 1
        if held.defects == 1:
            held.defect_since_us = now
        return held.defects >= FAILURES_ALLOWED and now - held.defect_since_us >= _microseconds(GIVE_UP_SECONDS)

    def _give_up(self, held: _Held, row: Row, error: Exception, otherwise: Outcome) -> Outcome:
        """Let the reconciler end the resource. Raises LeaseLost, Conflict; any other failure leaves ``otherwise``."""
        log.error("%s is given up after %d failures (resource %s)", row.arn, held.failures, row.id)
        try:
            return self._reconcilers[row.kind].give_up(self._platform, row, held.lease, error)
        except (LeaseLost, Conflict):
            raise
        except Exception:
            log.exception("%s could not be given up (resource %s)", row.arn, row.id)
            return otherwise

    def _again(self, held: _Held, seconds: float) -> None:
        now = self._platform.clock.monotonic_us()
        with self._lock:
            at_us = now if held.woken else now + _microseconds(seconds)
            held.woken = held.running = False
            self._due_at(held, at_us)
        self._platform.wakeups.event.set()

    def _let_go(self, held: _Held) -> None:
        with self._lock:
            self._held.pop(held.lease.resource_id, None)
        if held.woken:
            # Whoever woke it meanwhile recorded that in the row: look again.
            self._platform.wakeups.notify(held.lease.resource_id)


def _may_pass(error: Exception) -> bool:
    """Whether this is the machine's trouble and not the resource's: it may last, and everything waits for its end."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, StoreUnavailable | StoreClosed | OperationalError)


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)
