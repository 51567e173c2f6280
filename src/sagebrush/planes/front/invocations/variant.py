"""A production variant while it serves: which of its workers is asked next, and who waits for one."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from sagebrush.planes.front.invocations import snapshot
from sagebrush.planes.front.invocations.counts import Counts
from sagebrush.planes.front.invocations.worker import Worker


class Waiter(Protocol):
    """A request that wants a worker."""

    deadline: float

    def ask(self, worker: Worker, now: float) -> bool:
        """Send the request to this worker; False when nobody listens there."""

    def overdue(self) -> None:
        """The deadline is over."""

    def route(self) -> None:
        """Where this request waits is no more: look for its way again."""


class Variant:
    """Requests go to the worker with the fewest outstanding; beyond its lanes they wait, first come, first served.

    A worker that is the only one is sent one request more than it answers at once.
    """

    def __init__(self, name: str, counts: Counts):
        self.name = name
        self.counts = counts
        self.weight = 0.0
        self.timeout_seconds = 60.0
        self.workers: list[Worker] = []
        self.waiting: OrderedDict[Waiter, None] = OrderedDict()
        self._next = 0
        self._ahead = 0

    def update(self, described: snapshot.Variant, workers: list[Worker]) -> None:
        """Take over what the snapshot says."""
        self.weight = described.weight
        self.timeout_seconds = described.timeout_seconds
        self.workers = workers
        # Where there is no choice, the next request lies ready at the worker, which then need not sleep and be woken
        # in between. Should it die, that request was not read, and is sent again. Elsewhere it could wait behind a
        # slow one while another worker is free.
        self._ahead = int(len(workers) == 1 and not workers[0].own_server)

    def begin(self, waiter: Waiter, now: float, limit: int) -> bool:
        """Ask a worker, or wait for one; False when ``limit`` requests wait already."""
        if not self.waiting:
            while (worker := self._free_worker(now)) is not None:
                if waiter.ask(worker, now):
                    return True
        if len(self.waiting) >= limit:
            return False
        self.waiting[waiter] = None
        return True

    def again(self, waiter: Waiter, now: float) -> None:
        """Ask for a request whose worker went away before it had read it: it had its turn, so it goes first."""
        while (worker := self._free_worker(now)) is not None:
            if waiter.ask(worker, now):
                return
        self.waiting[waiter] = None
        self.waiting.move_to_end(waiter, last=False)

    def leave(self, waiter: Waiter) -> None:
        """A request waits no longer."""
        self.waiting.pop(waiter, None)

    def pump(self, now: float) -> None:
        """Give free lanes to those who wait."""
        waiting = self.waiting
        while waiting:
            worker = self._free_worker(now)
            if worker is None:
                return
            waiter = next(iter(waiting))
            if waiter.ask(worker, now):
                waiting.pop(waiter, None)

    @property
    def reachable(self) -> bool:
        """Whether a request that waits does so because workers are busy; else nobody listens."""
        return any(worker.busy for worker in self.workers)

    def _free_worker(self, now: float) -> Worker | None:
        """The worker with the fewest outstanding requests that has a lane free; among equals each in turn."""
        workers = self.workers
        count = len(workers)
        start = self._next
        best: Worker | None = None
        least = 0
        for offset in range(count):
            index = (start + offset) % count
            worker = workers[index]
            busy = len(worker.busy)
            if busy >= worker.lanes + self._ahead or (best is not None and busy >= least) or worker.paused_until > now:
                continue
            best, least, self._next = worker, busy, index + 1
            if not busy:
                break
        return best
