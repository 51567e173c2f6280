"""One worker process: one model, one request at a time.

The front door keeps one connection here and asks one request at a time; a restarted front door comes with another one.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import traceback

from sagebrush.runtime import outcome
from sagebrush.runtime.serving import streaming
from sagebrush.runtime.serving.codecs import Refused
from sagebrush.runtime.serving.handlers import Answer, Handlers
from sagebrush.runtime.serving.http import BadRequest, Closed, Connection, Request
from sagebrush.runtime.serving.stamp import Stamp
from sagebrush.runtime.serving.streaming import Nonsense, Parts

_TEXT = "text/plain; charset=utf-8"
_PONG = Answer(b"", _TEXT)
_NOT_FOUND = Answer(b"There is only /invocations and /ping.", _TEXT, 404)


class Worker:
    """Serves ``listener`` with ``handlers`` until ``lifeline`` ends: the parent holds its other end."""

    def __init__(self, listener: socket.socket, handlers: Handlers, stamp: Stamp, lifeline: int):
        self._listener = listener
        self._handlers = handlers
        self._stamp = stamp
        self._lifeline = lifeline
        self._connections: dict[int, Connection] = {}
        self._poll = select.poll()
        self._stopping = False
        self._worn = False

    def run(self) -> None:
        """Answer until told to stop, and what has arrived by then; or until it is better to begin anew."""
        self._listener.setblocking(False)
        self._poll.register(self._listener, select.POLLIN)
        self._poll.register(self._lifeline, select.POLLIN)
        poll, look = self._poll.poll, self._look
        while not self._worn and (ready := poll(0 if self._stopping else None)):
            for descriptor, _ in ready:
                look(descriptor)

    def _look(self, descriptor: int) -> None:
        connection = self._connections.get(descriptor)
        if connection is not None:
            self._serve(connection)
        elif descriptor == self._lifeline:
            self._poll.unregister(descriptor)
            self._stopping = True
        else:
            self._accept()

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return  # The client has gone meanwhile.
        connection = Connection(peer)
        self._connections[peer.fileno()] = connection
        self._poll.register(peer, select.POLLIN)

    def _serve(self, connection: Connection) -> None:
        try:
            request = connection.receive()
            if request is not None:
                self._answer(connection, request)
        except BadRequest as error:
            with contextlib.suppress(Closed):
                connection.answer(400, _TEXT, str(error).encode(), last=True)
            self._drop(connection)
        except Closed:
            self._drop(connection)

    def _answer(self, connection: Connection, request: Request) -> None:
        if request.path == b"/invocations":
            self._stamp.begin()
            body, content_type, status, headers = self._predict(request)
        elif request.path == b"/ping":
            body, content_type, status, headers = _PONG
        else:
            body, content_type, status, headers = _NOT_FOUND
        last = self._stopping or self._worn or request.headers.get(b"connection", b"").lower() == b"close"
        try:
            if isinstance(body, Parts):
                connection.begin(status, content_type, headers, last=last)
                connection.end(self._stream(connection, body))
            else:
                connection.answer(status, content_type, body, headers, last=last)
        finally:
            self._stamp.end()
        if last:
            self._drop(connection)

    def _predict(self, request: Request) -> Answer:
        """The handlers' answer, or what went wrong in one line; user code may raise anything, also SystemExit."""
        try:
            return self._handlers.answer(request)
        except BaseException as error:
            status, line = self._failed(error)
            return Answer(line.encode("utf-8", "replace"), _TEXT, status)

    def _stream(self, connection: Connection, parts: Parts) -> str:
        """Send the parts as they are made; why they ended too early, in one line. Raises Closed."""
        try:
            streaming.send(connection, parts, self._stamp)
        except Closed:
            raise
        except BaseException as error:
            return self._failed(error)[1]
        return ""

    def _failed(self, error: BaseException) -> tuple[int, str]:
        """Status and line for the client; what more there is to say goes to the log."""
        if isinstance(error, Refused):
            return error.status, str(error)
        if isinstance(error, Nonsense):
            print(error, file=sys.stderr, flush=True)
            return 500, str(error)
        if isinstance(error, MemoryError):
            # What filled the memory may be kept by the user's code: a new worker begins without it.
            self._worn = True
            print("The worker ran out of memory; another one takes its place.", file=sys.stderr, flush=True)
        outcome.print_traceback(error)
        # The toolkit's errors bring a status of their own.
        status = getattr(error, "status_code", None)
        return status if isinstance(status, int) and 400 <= status < 600 else 500, told(error)

    def _drop(self, connection: Connection) -> None:
        if self._connections.pop(connection.fileno(), None) is not None:
            self._poll.unregister(connection)
            connection.close()


def told(error: BaseException) -> str:
    """An exception in one line: what, and where in the user's code."""
    headline = " ".join("".join(traceback.format_exception_only(error)).split())
    frame = outcome.last_frame(error)
    return f"{headline} ({frame.filename}:{frame.lineno} in {frame.name})" if frame else headline
