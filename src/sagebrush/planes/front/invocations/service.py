"""What all invocations share: routes, grants, counts and spool, and the clockwork that keeps them current."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sagebrush.planes.front.backend import Backend
from sagebrush.planes.front.heads import RequestHead
from sagebrush.planes.front.invocations import snapshot
from sagebrush.planes.front.invocations.counts import Counts
from sagebrush.planes.front.invocations.fleet import Fleet
from sagebrush.planes.front.invocations.grants import Grants
from sagebrush.planes.front.invocations.invocation import Invocation
from sagebrush.planes.front.invocations.page import PageConnection
from sagebrush.planes.front.invocations.repeated import RepeatedHead
from sagebrush.planes.front.invocations.response_stream import ResponseStream
from sagebrush.planes.front.invocations.snapshot import SnapshotFile
from sagebrush.planes.front.invocations.spool import Spool
from sagebrush.planes.front.routing import Invoked
from sagebrush.substrate.clock import Clock, to_datetime

if TYPE_CHECKING:
    from sagebrush.planes.front.connection import ClientConnection

_TICK_SECONDS: Final = 0.1
_HASHING_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator chose. ``signed``: every request is verified; ``waiting`` requests may wait per variant."""

    account: str
    region: str
    signed: bool = True
    max_bytes: int = 6 * 1024 * 1024
    waiting: int = 1000
    #: How long a stream of events may take, from its request to its end.
    stream_seconds: float = 480.0
    #: Bodies and answers in hand, all clients together; beyond it requests are throttled.
    bytes_in_hand: int = 256 * 1024 * 1024
    #: An answer up to this size is taken from the worker at once, however slowly the client takes it.
    buffered_bytes: int = 8 * 1024 * 1024


class Invocations:
    """Everything between a client that invokes and the workers. Paths in the snapshot are relative to ``root``."""

    def __init__(self, *, rules: Rules, snapshot_file: Path, root: Path, control: Backend, clock: Clock):
        self.rules = rules
        self.clock = clock
        self.monotonic_us = clock.monotonic_us
        self.loop = asyncio.get_running_loop()
        self.grants = Grants(control)
        self.spool = Spool(root, clock)
        self.bytes_in_hand = 0
        #: Those whose body is only partly there, in the order in which it began to arrive.
        self.arriving: dict[Invocation, None] = {}
        #: Those whose first event is out, and whose last one is not.
        self.streams: set[ResponseStream] = set()
        self.hashing = ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hashing")
        prefix = "" if root == Path() else f"{root}/"
        self.fleet = Fleet(self.loop, prefix, self._counts_of)
        self._file = SnapshotFile(snapshot_file)
        self._counts: dict[tuple[str, str], Counts] = {}
        self._dropped: deque[Counts] = deque()
        self._ticking: asyncio.TimerHandle | None = None
        self._page: asyncio.Server | None = None
        self._second = 0
        self._now = to_datetime(0)

    async def start(self, page: socket.socket | None = None) -> None:
        """Read the routes and begin. ``page`` is the listening socket of the platform's own page."""
        self._look()
        self.spool.recover(endpoint.described.spool for endpoint in self.fleet.endpoints.values())
        if page is not None:
            self._page = await self.loop.create_unix_server(lambda: PageConnection(self._answer_page), sock=page)
        self._ticking = self.loop.call_later(_TICK_SECONDS, self._tick)

    def close(self) -> None:
        """After the last client: leave the counts, end the connections."""
        if self._ticking is not None:
            self._ticking.cancel()
        if self._page is not None:
            self._page.close()
        self.grants.close()
        self.fleet.close()
        self._count_dropped()
        for counts in self._counts.values():
            counts.flush()
        self.spool.close()
        self.hashing.shutdown(wait=False)

    def begin(self, client: ClientConnection, head: RequestHead, invoked: Invoked) -> Invocation:
        """The exchange of a client that invokes an endpoint."""
        if invoked.streams:
            return ResponseStream(self, client, head, invoked.name)
        return Invocation(self, client, head, invoked.name)

    def break_off(self) -> bool:
        """The front door ends: tell the clients of streams that have begun. False when there are none."""
        streams = tuple(self.streams)
        for stream in streams:
            stream.break_off()
        return bool(streams)

    def make_room(self) -> bool:
        """Give up bodies that are arriving, the oldest first, until there is room; False when that did not suffice.

        Nobody knows yet whether those are of clients that may invoke anything; who waits for a worker is known.
        """
        while self.bytes_in_hand > self.rules.bytes_in_hand and self.arriving:
            next(iter(self.arriving)).give_way()
        return self.bytes_in_hand <= self.rules.bytes_in_hand

    def verified(self, repeated: RepeatedHead, data: bytes) -> bytes | None:
        """The body of a request that repeats an earlier one, verified and allowed; None: take the long way."""
        endpoint = self.fleet.endpoints.get(repeated.invoked.name)
        if endpoint is None or endpoint.described.arn != repeated.key[2]:
            return None
        grant = self.grants.known(repeated.key)
        if grant is None or grant.refusal is not None or grant.denied is not None:
            return None
        rules = self.rules
        if len(data) > rules.max_bytes or self.bytes_in_hand + len(data) > rules.bytes_in_hand:
            return None
        return repeated.payload(data, grant.secret, self.now())

    def now(self) -> datetime:
        """The time that signatures are judged by, to the second."""
        second = self.clock.now_us() // 1_000_000
        if second != self._second:
            self._second, self._now = second, to_datetime(second * 1_000_000)
        return self._now

    def captures(self, capture: snapshot.Capture) -> bool:
        """Whether this invocation is in the sample."""
        return random.random() * 100.0 < capture.percentage

    def dropped(self, counts: Counts) -> Callable[[], None]:
        """What to call, on any thread, when a captured record of this variant is dropped."""
        return functools.partial(self._dropped.append, counts)

    # The clockwork

    def _tick(self) -> None:
        self._look()
        self.fleet.tick(self.loop.time())
        self._count_dropped()
        for counts in self._counts.values():
            counts.roll()
        self._ticking = self.loop.call_later(_TICK_SECONDS, self._tick)

    def _look(self) -> None:
        found = self._file.changed()
        if found is not None:
            self.fleet.apply(found, self.loop.time())

    def _count_dropped(self) -> None:
        while self._dropped:
            self._dropped.popleft().current.capture_dropped += 1

    def _counts_of(self, endpoint: snapshot.Endpoint, variant: str) -> Counts:
        key = endpoint.spool, variant
        counts = self._counts.get(key)
        if counts is None:
            finished = functools.partial(self.spool.counted, endpoint.spool)
            counts = self._counts[key] = Counts(variant, self.clock.now_us, finished)
        return counts

    # The platform's page

    def _answer_page(self, answer: Callable[[object], None]) -> None:
        """Answer with the routes as they are now, when what was counted and captured up to now is in the spools."""
        self._look()
        self._count_dropped()
        document = {"version": self.fleet.version, "outstanding": self.fleet.outstanding()}
        for counts in self._counts.values():
            counts.flush()
        routed = frozenset(endpoint.described.spool for endpoint in self.fleet.endpoints.values())
        if not document["outstanding"]:
            self._counts = {key: counts for key, counts in self._counts.items() if key[0] in routed}

        def written() -> None:
            with contextlib.suppress(RuntimeError):  # The loop has ended meanwhile.
                self.loop.call_soon_threadsafe(answer, document)

        self.spool.flush(routed, written)
