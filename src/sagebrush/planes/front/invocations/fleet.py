"""What serves at this moment: the snapshot brought to life, and changed in place when another one comes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

from sagebrush.planes.front.invocations import snapshot
from sagebrush.planes.front.invocations.counts import Counts
from sagebrush.planes.front.invocations.snapshot import Snapshot
from sagebrush.planes.front.invocations.variant import Variant
from sagebrush.planes.front.invocations.worker import Replica, Worker

#: States in which an endpoint without a replica will have one soon.
_RECOVERS = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})


class Endpoint:
    """An endpoint and its variants."""

    def __init__(self, described: snapshot.Endpoint):
        self.described = described
        self.variants: dict[str, Variant] = {}
        #: The one variant, where there is one.
        self.only: Variant | None = None

    @property
    def serves(self) -> bool:
        """Whether a request may go in: somebody is there to answer, or will be."""
        if self.described.status in _RECOVERS:
            return bool(self.variants)
        return any(variant.workers for variant in self.variants.values())

    def choose(self) -> Variant:
        """A variant by weight, among those that have workers. None has weight: all are equal."""
        if self.only is not None:
            return self.only
        variants = list(self.variants.values())
        candidates = [variant for variant in variants if variant.weight > 0.0] or variants
        candidates = [variant for variant in candidates if variant.workers] or candidates
        weights = [variant.weight for variant in candidates]
        return random.choices(candidates, weights if any(weights) else None)[0]


class Fleet:
    """Every endpoint, worker and replica. ``counts_of`` makes the counts of a variant; relative sockets lie in root."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, root: str, counts_of: Callable[[snapshot.Endpoint, str], Counts]
    ):
        self.version = 0
        self.endpoints: dict[str, Endpoint] = {}
        self.workers: dict[str, Worker] = {}
        self._replicas: dict[str, Replica] = {}
        self._retired: set[Worker] = set()
        self._loop = loop
        self._root = root
        self._counts_of = counts_of

    def apply(self, described: Snapshot, now: float) -> None:
        """Route by another snapshot from now on. Requests that waited for what is gone look for their way again."""
        before = self._variants()
        known, self.workers = self.workers, {}
        replicas, self._replicas = self._replicas, {}
        endpoints, self.endpoints = self.endpoints, {}
        for name, entry in described.endpoints.items():
            old = endpoints.get(name)
            endpoint = old if old is not None and old.described.id == entry.id else Endpoint(entry)
            self._update(endpoint, entry, known, replicas)
            self.endpoints[name] = endpoint
        self.version = described.version
        self._retire(known, replicas)
        after = set(self._variants())
        for variant in before:
            if variant not in after:
                waiting = list(variant.waiting)
                variant.waiting.clear()
                for waiter in waiting:
                    waiter.route()
        for variant in after:
            variant.pump(now)

    def outstanding(self) -> dict[str, int]:
        """Requests in flight by replica, those that are no longer routed included."""
        return {replica.id: replica.outstanding for replica in self._replicas.values() if replica.outstanding}

    def tick(self, now: float) -> None:
        """Called about ten times a second: end what takes too long, look again where nobody listened."""
        for variant in self._variants():
            if variant.waiting:
                for waiter in [waiter for waiter in variant.waiting if waiter.deadline <= now]:
                    waiter.overdue()
                variant.pump(now)
        for worker in (*self.workers.values(), *self._retired):
            for lane in tuple(worker.busy):
                asker = lane.asker
                if asker is not None and asker.deadline <= now:
                    asker.overdue()
        self._retired = {worker for worker in self._retired if worker.busy}
        if len(self._replicas) > 0:
            self._replicas = {key: r for key, r in self._replicas.items() if r.routed or r.outstanding}

    def close(self) -> None:
        """End every connection to a worker."""
        for worker in (*self.workers.values(), *self._retired):
            worker.retire()
            for lane in tuple(worker.busy):
                lane.close()

    def _variants(self) -> list[Variant]:
        return [variant for endpoint in self.endpoints.values() for variant in endpoint.variants.values()]

    def _update(
        self,
        endpoint: Endpoint,
        entry: snapshot.Endpoint,
        known: dict[str, Worker],
        replicas: dict[str, Replica],
    ) -> None:
        endpoint.described = entry
        variants, endpoint.variants = endpoint.variants, {}
        for described in entry.variants:
            variant = variants.get(described.name) or Variant(described.name, self._counts_of(entry, described.name))
            variant.update(described, list(self._workers_of(described, known, replicas)))
            endpoint.variants[described.name] = variant
        endpoint.only = variant if len(entry.variants) == 1 else None

    def _workers_of(
        self, variant: snapshot.Variant, known: dict[str, Worker], replicas: dict[str, Replica]
    ) -> Iterator[Worker]:
        for described in variant.replicas:
            replica = self._replicas.get(described.id) or replicas.get(described.id) or Replica(described.id)
            replica.routed = True
            self._replicas[described.id] = replica
            for path in described.sockets:
                worker = known.get(path)
                if worker is None or worker.replica is not replica:
                    worker = Worker(f"{self._root}{path}", described.lanes, replica, self._loop)
                worker.lanes = described.lanes
                self.workers[path] = worker
                yield worker

    def _retire(self, known: dict[str, Worker], replicas: dict[str, Replica]) -> None:
        current = set(self.workers.values())
        for worker in known.values():
            if worker not in current:
                worker.retire()
                if worker.busy:
                    self._retired.add(worker)
        for key, replica in replicas.items():
            if key not in self._replicas:
                replica.routed = False
                if replica.outstanding:
                    self._replicas[key] = replica
