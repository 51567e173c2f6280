"""The loop: one thread decides what is due, a bounded pool takes the steps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sagebrush.substrate import faultpoints
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile.leases import LEASE_SECONDS, Leases
from sagebrush.substrate.reconcile.owner import process_identity
from sagebrush.substrate.reconcile.reconciler import Again, Reconciler
from sagebrush.substrate.resources.rows import Conflict, Lease, LeaseLost, fetch_by_id

log = logging.getLogger(__name__)

#: Seconds between looks at the database when nobody wakes the loop.
LOOK_SECONDS = 1.0
FIRST_BACKOFF_SECONDS = 1.0
LAST_BACKOFF_SECONDS = 60.0

BEFORE_STEP = faultpoints.declare("reconcile.before-step")
AFTER_STEP = faultpoints.declare("reconcile.after-step")


@dataclass(slots=True)
class _Held:
    """A resource in this process's hands."""

    lease: Lease
    at_us: int
    running: bool = False
    woken: bool = False
    failures: int = 0


class ReconcileLoop:
    """Holds each resource it works on under one lease until a step says Done; waits cost no commit."""

    def __init__(self, platform: Platform, reconcilers: Sequence[Reconciler], threads: int):
        self._platform = platform
        self._reconcilers = {reconciler.resource.kind: reconciler for reconciler in reconcilers}
        self._leases = Leases(platform.store, platform.clock, process_identity())
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reconcile")
        self._threads = threads
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconcile-loop", daemon=True)

    def start(self) -> None:
        """Begin; everything that is due and free (or its owner dead) is taken up at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the steps that run, give all leases back."""
        self._stopping.set()
        self._platform.wakeups.event.set()
        self._thread.join()
        self._pool.shutdown(wait=True)
        for held in list(self._held.values()):
            self._leases.release(held.lease, asleep_since_us=None)
        self._held.clear()

    @property
    def running(self) -> bool:
        """Whether the loop looks after things."""
        return self._thread.is_alive() and not self._stopping.is_set()

    def _run(self) -> None:
        clock = self._platform.clock
        look_at = renew_at = clock.monotonic_us()
        while not self._stopping.is_set():
            try:
                woken = self._platform.wakeups.take()
                now = clock.monotonic_us()
                unknown = self._wake(woken, now)
                if unknown or now >= look_at:
                    self._claim(now)
                    look_at = now + int(LOOK_SECONDS * 1e6)
                if now >= renew_at:
                    self._leases.renew([held.lease for held in self._held.values()])
                    renew_at = now + LEASE_SECONDS * 1_000_000 // 3
                next_at = self._start_due(now)
            except Exception:
                # A full disk or a database away for a moment must not end the loop; it looks again.
                log.exception("the reconcile loop stumbled")
                next_at = clock.monotonic_us() + int(LOOK_SECONDS * 1e6)
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
                    held.at_us = now
        return unknown

    def _claim(self, now: int) -> None:
        kinds = self._reconcilers.keys()
        if not self._leases.due(kinds):
            return
        for lease in self._leases.take(kinds, limit=10 * self._threads):
            with self._lock:
                self._held[lease.resource_id] = _Held(lease, at_us=now)

    def _start_due(self, now: int) -> int:
        """Hand due resources to the pool; when the next one is due."""
        next_at = now + int(LOOK_SECONDS * 1e6)
        with self._lock:
            for held in self._held.values():
                if held.running:
                    continue
                if held.at_us <= now:
                    held.running = True
                    self._pool.submit(self._step, held)
                else:
                    next_at = min(next_at, held.at_us)
        return next_at

    def _step(self, held: _Held) -> None:
        """Take one step and decide what is next; never raises."""
        started_us = self._platform.clock.now_us()
        try:
            row = self._platform.store.read(lambda c: fetch_by_id(c, held.lease.resource_id))
            if row is None:
                self._drop(held, started_us)
                return
            faultpoints.reach(BEFORE_STEP)
            outcome = self._reconcilers[row.kind].step(self._platform, row, held.lease)
            faultpoints.reach(AFTER_STEP)
            held.failures = 0
        except LeaseLost as lost:
            log.warning("%s", lost)
            with self._lock:
                self._held.pop(held.lease.resource_id, None)
            return
        except Conflict:
            # The row changed under the step (a stop, say): look at the new one at once.
            outcome = Again()
        except Exception:
            held.failures += 1
            delay = min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (held.failures - 1))
            log.exception("a step of %s failed; again in %.0f s", held.lease.resource_id, delay)
            outcome = Again(delay)
        if isinstance(outcome, Again):
            self._again(held, outcome.after_seconds)
        else:
            self._drop(held, started_us)

    def _again(self, held: _Held, seconds: float) -> None:
        now = self._platform.clock.monotonic_us()
        with self._lock:
            held.at_us = now if held.woken else now + int(seconds * 1e6)
            held.woken = held.running = False
        self._platform.wakeups.event.set()

    def _drop(self, held: _Held, started_us: int) -> None:
        """Give the resource back; it sleeps unless somebody woke it since the step started."""
        try:
            self._leases.release(held.lease, asleep_since_us=started_us)
        except Exception:
            log.exception("could not give %s back; its lease will run out", held.lease.resource_id)
        with self._lock:
            self._held.pop(held.lease.resource_id, None)
        # Whatever woke it after the step began is still recorded in the row: look again.
        self._platform.wakeups.notify(held.lease.resource_id)
