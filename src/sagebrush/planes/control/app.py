"""The ASGI application of the control plane."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from sagebrush.planes import SOURCE_IP_HEADER
from sagebrush.planes.control.internal import PREFIX, InternalPages
from sagebrush.planes.control.requests import RequestHandler
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.http import HttpRequest, HttpResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: The largest request that AWS's control operations take is a pipeline definition of about 1 MB; CloudWatch and Logs
#: batches reach 1 MB too.
MAX_BODY_BYTES: Final = 8 * 1024 * 1024

#: Bodies are read before anybody is known to have a right to send them: so many bytes at once and no more.
MAX_BYTES_IN_HAND: Final = 64 * 1024 * 1024

#: Requests that wait for a thread; beyond that it is honest to say "later" at once.
_WAITING_PER_THREAD: Final = 64


class ControlApp:
    """Reads a request's body, runs it on a request thread, sends the answer."""

    def __init__(self, handler: RequestHandler, pages: InternalPages, *, threads: int):
        self._handler = handler
        self._pages = pages
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._in_hand = 0
        self._bytes_in_hand = 0
        self._most_in_hand = threads * (1 + _WAITING_PER_THREAD)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = _without_body(scope)
        reading = _Reading(self)
        try:
            body = await reading.body(request, receive)
            if body is None:
                return
            respond = self._responder(request, body)
            # The counters are touched by the event loop's thread alone.
            self._in_hand += 1
            try:
                response = await asyncio.get_running_loop().run_in_executor(self._pool, respond)
            finally:
                self._in_hand -= 1
        finally:
            self.give_back(reading.size)
        await _send(send, response)

    def take(self, size: int) -> bool:
        """Count bytes of a body that is being read; False when there is no room for them now."""
        self._bytes_in_hand += size
        return self._bytes_in_hand <= MAX_BYTES_IN_HAND

    def give_back(self, size: int) -> None:
        """The bytes of a body are no longer held."""
        self._bytes_in_hand -= size

    def close(self) -> None:
        """Let running requests end, take no more."""
        self._pool.shutdown(wait=True)

    def _responder(self, request: HttpRequest, body: bytes | CallerError) -> Callable[[], HttpResponse]:
        if isinstance(body, CallerError):
            error = body
            return lambda: self._handler.refuse(request, error)
        whole = HttpRequest(
            request.method, request.raw_path, request.raw_query, request.headers, body, request.source_ip
        )
        if request.raw_path.startswith(PREFIX):
            return lambda: self._pages.answer(whole)
        if self._in_hand >= self._most_in_hand:
            busy = CallerError("ThrottlingException", "Rate exceeded", status=400)
            return lambda: self._handler.refuse(request, busy)
        return lambda: self._handler.answer(whole)


def _without_body(scope: Scope) -> HttpRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    source_ip = headers.pop(SOURCE_IP_HEADER, "127.0.0.1")
    return HttpRequest(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        raw_query=scope["query_string"].decode("latin-1"),
        headers=headers,
        source_ip=source_ip,
    )


class _Reading:
    """One body being read; ``size`` is what it holds of the plane's room for bodies."""

    def __init__(self, plane: ControlApp):
        self._plane = plane
        self.size = 0

    async def body(self, request: HttpRequest, receive: Receive) -> bytes | CallerError | None:
        """The whole body; an error when there is no room for it; None when the client has left."""
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            return _too_large()
        pieces: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            piece: bytes = message.get("body", b"")
            self.size += len(piece)
            room = self._plane.take(len(piece))
            if self.size > MAX_BODY_BYTES:
                return _too_large()
            if not room:
                return CallerError("ServiceUnavailable", "Too many requests are being read. Try again.", status=503)
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large() -> CallerError:
    return CallerError(
        "RequestEntityTooLargeException", f"The request is larger than {MAX_BODY_BYTES} bytes.", status=413
    )


async def _send(send: Send, response: HttpResponse) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    if not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
