"""A worker's socket: its connections, how much it has to do, and whether anybody listens."""

from __future__ import annotations

import asyncio
import functools
from typing import Final

from sagebrush.planes.front.heads import RequestHead
from sagebrush.planes.front.invocations.lane import Asker, Lane

_FORWARDED: Final = b"x-amzn-sagemaker-"
_STREAM_ACCEPT: Final = b"x-amzn-sagemaker-accept"
#: A socket that refused is left alone for so long, doubled each time up to the longest pause.
_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0
#: A model's own server may close what is idle, just when we write to it: then nobody can tell whether it had read. So
#: connections to such are used again only right away; those to our own workers for as long as they last.
_IDLE_SECONDS: Final = 1.0


def forwarded_lines(head: RequestHead, streams: bool) -> bytes:
    """The lines of a request's head that the worker gets.

    Who wants a stream says what it shall consist of in a header of its own: Accept is about the events around it.
    """
    names = head.joined
    lines = [b"%b: %b\r\n" % (name, names[name]) for name in _forwarded_of(tuple(names), streams)]
    if streams and _STREAM_ACCEPT in names:
        lines.append(b"accept: %b\r\n" % names[_STREAM_ACCEPT])
    return b"".join(lines)


def request_head(length: int, lines: bytes) -> bytes:
    """The head of what the worker is asked, with a body of ``length`` bytes."""
    return b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n" % (length, lines)


@functools.lru_cache(maxsize=256)
def _forwarded_of(names: tuple[bytes, ...], streams: bool) -> tuple[bytes, ...]:
    """Which of a request's headers the worker gets. A client's requests differ little in the names of theirs."""
    kept = [name for name in names if name.startswith(_FORWARDED) or name in (b"content-type", b"accept")]
    return tuple(name for name in kept if not streams or name not in (b"accept", _STREAM_ACCEPT))


class Replica:
    """A model server as the platform asks about it: ``outstanding`` requests are with its workers."""

    __slots__ = ("id", "outstanding", "routed")

    def __init__(self, replica_id: str):
        self.id = replica_id
        self.outstanding = 0
        self.routed = True


class Worker:
    """One socket of a replica, asked at most ``lanes`` requests at once."""

    __slots__ = ("_idle", "_loop", "_pause", "busy", "lanes", "path", "paused_until", "replica", "routed")

    def __init__(self, path: str, lanes: int, replica: Replica, loop: asyncio.AbstractEventLoop):
        self.path = path
        self.lanes = lanes
        self.replica = replica
        self.routed = True
        self.busy: set[Lane] = set()
        self.paused_until = 0.0
        self._pause = _PAUSE_SECONDS
        self._idle: list[Lane] = []
        self._loop = loop

    @property
    def own_server(self) -> bool:
        """Whether the model brought its own server: many requests at once, connections end when it likes."""
        return self.lanes > 1

    def ask(self, head: bytes, body: bytes, asker: Asker, now: float) -> Lane | None:
        """Send a request; the lane that carries it, or None when nobody listens (the worker is paused then)."""
        while self._idle:
            lane = self._idle.pop()
            if self.own_server and now - lane.idle_since > _IDLE_SECONDS:
                lane.close()
            elif lane.ask(head, body, asker):
                lane.reused = True
                return self._taken(lane)
        try:
            lane = Lane(self, self._loop)
        except OSError:
            self.pause(now)
            return None
        if not lane.ask(head, body, asker):
            self.pause(now)
            return None
        return self._taken(lane)

    def pause(self, now: float) -> None:
        """Leave the worker alone for a moment: it is not there."""
        self.paused_until = now + self._pause
        self._pause = min(_LONGEST_PAUSE_SECONDS, self._pause * 2)

    def free(self, lane: Lane) -> None:
        """A lane's request is over."""
        self.busy.discard(lane)
        self.replica.outstanding -= 1
        if lane.answer.done:
            self._pause = _PAUSE_SECONDS
        if not lane.closed:
            if self.routed:
                lane.idle_since = self._loop.time()
                self._idle.append(lane)
            else:
                lane.close()

    def drop(self, lane: Lane) -> None:
        """An idle lane's connection has ended."""
        if lane in self._idle:
            self._idle.remove(lane)
        lane.close()

    def retire(self) -> None:
        """No longer routed: what it has begun ends, nothing new comes."""
        self.routed = False
        for lane in self._idle:
            lane.close()
        self._idle.clear()

    def _taken(self, lane: Lane) -> Lane:
        self.busy.add(lane)
        self.replica.outstanding += 1
        return lane
