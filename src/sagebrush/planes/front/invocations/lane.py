"""One connection to a worker: it knows exactly what was written and whether the worker read it.

Plain non-blocking sockets, no transports, for that knowledge: a request may be sent a second time only when it
provably was not read. On a Unix socket the kernel tells:

- a write that fails (EPIPE) or is not complete: the worker never had the whole request;
- ECONNRESET on reading: the other side closed, or died, with bytes of ours unread in its socket;
- an orderly end after a complete write: the worker had read it all. It may have run, so it must not run again.

A worker acts on a request when it has all of it; so the first two are safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol

from sagebrush.planes.front.invocations.answer import Answer, BadBody, BadHead

if TYPE_CHECKING:
    from sagebrush.planes.front.invocations.worker import Worker

log = logging.getLogger(__name__)

#: At most so much of a chunked body is read at a time: its chunks may be tiny, and others are waiting.
_READ_BYTES: Final = 64 * 1024
_READ_MORE_BYTES: Final = 1024 * 1024
#: Up to here head and body are joined: one copy costs less than a second system call.
_JOIN_BYTES: Final = 64 * 1024


class Break(Enum):
    """Why no answer comes."""

    UNREAD = auto()
    """The worker never had the whole request: it may be sent again."""
    ENDED = auto()
    """The worker had it, and its end of the connection is gone."""
    GARBLED = auto()
    """The worker answered what is not HTTP."""


class Asker(Protocol):
    """Whose request a lane carries."""

    deadline: float

    def overdue(self) -> None:
        """The deadline is over."""

    def answer_grows(self, lane: Lane) -> None:
        """More of the answer's body is there than before, and it is not complete."""

    def answered(self, lane: Lane) -> None:
        """The answer is complete; the lane has been freed."""

    def broken(self, lane: Lane, why: Break) -> None:
        """No answer will come. The lane has been freed."""


class Lane:
    """A connection to ``worker``, idle or carrying one request. Raises OSError when nobody listens."""

    __slots__ = (
        "_connection",
        "_hung_up",
        "_loop",
        "_paused",
        "_unwritten",
        "answer",
        "asker",
        "closed",
        "idle_since",
        "reused",
        "worker",
    )

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop):
        self.worker = worker
        self.asker: Asker | None = None
        self.answer = Answer()
        self.closed = False
        self.idle_since = 0.0
        self.reused = False
        self._loop = loop
        self._unwritten: list[memoryview] = []
        self._paused = False
        self._hung_up = False
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            # On a Unix socket this never waits: there is room in the backlog, or an error.
            self._connection.connect(worker.path)
        except OSError:
            self._connection.close()
            raise
        loop.add_reader(self._connection.fileno(), self._readable)

    def ask(self, head: bytes, body: bytes, asker: Asker) -> bool:
        """Send a request; False when the connection had ended before (it is closed then)."""
        if self._hung_up:
            self.close()
            return False
        self.answer = Answer()
        try:
            if len(body) <= _JOIN_BYTES:
                data = head + body
                sent = self._connection.send(data)
                if sent < len(data):
                    self._unwritten = [memoryview(data)[sent:]]
            else:
                sent = self._connection.sendmsg((head, body))
                self._unwritten = [memoryview(piece) for piece in (head, body)]
                self._written(sent)
        except BlockingIOError:
            self._unwritten = [memoryview(head), memoryview(body)]
        except OSError:
            self.close()
            return False
        self.asker = asker
        if self._unwritten:
            self._loop.add_writer(self._connection.fileno(), self._writable)
        return True

    def read(self, wanted: bool) -> None:
        """Take bytes of the answer, or leave them with the worker for now."""
        if wanted is not self._paused or self.closed:
            return
        self._paused = not wanted
        if wanted:
            self._loop.add_reader(self._connection.fileno(), self._readable)
        else:
            self._loop.remove_reader(self._connection.fileno())

    def abandon(self) -> None:
        """End the connection in the middle of its request: the asker does not want to wait any longer."""
        self._free(reusable=False)

    def hang_up(self) -> bool:
        """Tell the worker that nobody wants the rest of its answer; what it still says is read to the end.

        False when it has not been asked whole, or is gone: then there is nobody to tell.
        """
        if self.closed or self._unwritten:
            return False
        if not self._hung_up:
            self._hung_up = True
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
        self.read(True)
        return True

    def close(self) -> None:
        """End the connection; nobody is told."""
        if self.closed:
            return
        self._stop_writing()
        if not self._paused:
            self._loop.remove_reader(self._connection.fileno())
        self.closed = True
        self._connection.close()

    def _written(self, count: int) -> None:
        pieces = self._unwritten
        while pieces and count >= len(pieces[0]):
            count -= len(pieces.pop(0))
        if count:
            pieces[0] = pieces[0][count:]

    def _writable(self) -> None:
        try:
            self._written(self._connection.sendmsg(self._unwritten))
        except BlockingIOError:
            return
        except OSError:
            # What there is to say, an early answer or the end, comes by reading; that not all was written stays noted.
            self._loop.remove_writer(self._connection.fileno())
            return
        if not self._unwritten:
            self._loop.remove_writer(self._connection.fileno())

    def _stop_writing(self) -> None:
        if self._unwritten:
            self._loop.remove_writer(self._connection.fileno())
            self._unwritten = []

    def _readable(self) -> None:
        if self.closed:
            return
        answer = self.answer
        try:
            data = self._connection.recv(_READ_MORE_BYTES if answer.plain_body else _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._ended(reset=True)
            return
        asker = self.asker
        if asker is None:
            self.worker.drop(self)  # An idle worker says nothing: this is its end, or it is not to be trusted.
        elif not data:
            self._ended(reset=False)
        else:
            self._take(data, answer, asker)

    def _take(self, data: bytes, answer: Answer, asker: Asker) -> None:
        try:
            answer.feed(data)
        except (BadHead, BadBody):
            self._free(reusable=False)
            asker.broken(self, Break.GARBLED)
            return
        except Exception:
            # Whatever a model may have come up with: its request ends, and nobody waits for it.
            log.exception("an answer of %s could not be read", self.worker.path)
            self._free(reusable=False)
            asker.broken(self, Break.GARBLED)
            return
        if answer.done:
            # An answer before the request was whole: the rest of the request must not follow the next head.
            self._free(reusable=answer.reusable and not self._unwritten)
            asker.answered(self)
        elif answer.head is not None:
            asker.answer_grows(self)

    def _ended(self, *, reset: bool) -> None:
        asker, answer = self.asker, self.answer
        if asker is None:
            self.worker.drop(self)
            return
        unread = not answer.begun and (reset or bool(self._unwritten))
        complete = not reset and answer.ended()
        self._free(reusable=False)
        if complete:
            asker.answered(self)
        else:
            asker.broken(self, Break.UNREAD if unread else Break.ENDED)

    def _free(self, *, reusable: bool) -> None:
        self.asker = None
        if not reusable:
            self.close()
        self.worker.free(self)
