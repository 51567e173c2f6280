"""One worker process: one model, one request at a time, in a blocking loop.

The front door keeps one connection here and asks one request at a time; a restarted front door comes with another one.
"""

from __future__ import annotations

import select
import signal
import socket
import sys
import time
import traceback
from types import FrameType

from sagebrush.runtime.serving import codecs
from sagebrush.runtime.serving.handlers import Handlers, Nonsense
from sagebrush.runtime.serving.http import BadRequest, Connection, Request

_TEXT = "text/plain; charset=utf-8"


class Stamp:
    """Where a worker says, in memory shared with its parent, since when it has been answering and how often it did."""

    def __init__(self, memory: memoryview):
        self._words = memory.cast("q")

    @property
    def busy_since_ns(self) -> int:
        """Monotonic time; 0 while idle."""
        return int(self._words[0])

    @property
    def answered(self) -> int:
        """How many requests this slot has answered, all its workers together."""
        return int(self._words[1])

    def begin(self) -> None:
        self._words[0] = time.monotonic_ns()

    def end(self) -> None:
        self._words[0] = 0
        self._words[1] += 1

    def clear(self) -> None:
        self._words[0] = 0


class Worker:
    """Serves ``listener`` with ``handlers`` until SIGTERM."""

    def __init__(self, listener: socket.socket, handlers: Handlers, stamp: Stamp):
        self._listener = listener
        self._handlers = handlers
        self._stamp = stamp
        self._stopping = False
        self._answering = False
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        # Others of this replica never accept here, but a client can be gone before its connection is accepted.
        self._listener.setblocking(False)
        self._poll.register(self._listener.fileno(), select.EPOLLIN)
        while not self._stopping:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._serve(self._connections[descriptor])
                if self._told_to_stop():
                    return

    def _told_to_stop(self) -> bool:
        return self._stopping

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if not self._answering:
            sys.exit(0)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        peer.setblocking(True)
        self._connections[peer.fileno()] = Connection(peer)
        self._poll.register(peer.fileno(), select.EPOLLIN)

    def _serve(self, connection: Connection) -> None:
        try:
            request = connection.read()
            if request is not None:
                self._answering = True
                self._answer(connection, request)
                self._answering = False
                return
        except (BadRequest, OSError, ValueError) as error:
            print(f"a connection of the front door ended: {error}", file=sys.stderr)
        self._answering = False
        self._stamp.clear()
        self._poll.unregister(connection.fileno())
        del self._connections[connection.fileno()]
        connection.peer.close()

    def _answer(self, connection: Connection, request: Request) -> None:
        if request.path == b"/ping":
            connection.answer(200, _TEXT, b"")
            return
        if request.path != b"/invocations":
            connection.answer(404, _TEXT, b"There is only /invocations and /ping.")
            return
        headers = request.headers
        self._stamp.begin()
        try:
            answer = self._handlers.answer(
                request.body,
                headers.get(b"content-type", b"").decode("latin-1"),
                headers.get(b"accept", b"").decode("latin-1"),
            )
        except codecs.UnsupportedContentType as error:
            connection.answer(415, _TEXT, str(error).encode())
        except codecs.UnsupportedAccept as error:
            connection.answer(406, _TEXT, str(error).encode())
        except codecs.Unreadable as error:
            connection.answer(400, _TEXT, str(error).encode())
        except Nonsense as error:
            print(error, file=sys.stderr)
            connection.answer(500, _TEXT, str(error).encode())
        except Exception as error:
            traceback.print_exc()
            connection.answer(500, _TEXT, told(error).encode("utf-8", "replace"))
        else:
            connection.answer(200, answer.content_type, answer.body)
        finally:
            self._stamp.end()


def told(error: BaseException) -> str:
    """An exception in one line: what, and where in the user's code."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return "".join(traceback.format_exception_only(error)).strip() + where
