"""The object plane's ASGI application: bytes in and out; everything S3 is in :mod:`sagebrush.aws.s3`.

A request with little or no body is one hop to a worker thread: verify, authorise, do, answer. A big payload is hashed
and written about a mebibyte at a time; a big answer is read and sent the same way. Memory per request is a few
mebibytes at most.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sagebrush.aws.s3.request import FileSlice, Response
from sagebrush.aws.s3.routing import route
from sagebrush.aws.s3.service import S3, STREAMED
from sagebrush.planes import SOURCE_IP_HEADER
from sagebrush.planes.objects.exchange import Exchange, Gate, new_request_id
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Identity
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.wire.http import HttpRequest

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

#: Payloads up to this size are taken whole, in one piece.
SMALL_BODY = 512 << 10
#: Documents (part lists, key lists) may be this long.
LONGEST_DOCUMENT = 8 << 20
#: Payload pieces that are hashed and written at once, and answers that are read at once.
PIECE = 1 << 20


class Disconnected(Exception):
    """The client went away in the middle of its request."""


def build_app(
    settings: Settings, clock: Clock, identity: Identity, object_store: ObjectStore, *, threads: int = 16
) -> App:
    """The application. Its lifespan starts the store's sweeper and closes the store."""
    return _Plane(Gate(settings, clock, identity, S3(object_store)), object_store, threads)


class _Plane:
    def __init__(self, gate: Gate, object_store: ObjectStore, threads: int):
        self._gate = gate
        self._objects = object_store
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="objects")
        # As many as there are cores: more would only take each other's caches away.
        self._hashing = ThreadPoolExecutor(os.cpu_count() or 2, thread_name_prefix="hashing")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        http = _http_request(scope)
        request_id = new_request_id()
        try:
            exchange = Exchange(self._gate, http, request_id)
            response = await self._answer(exchange, http, receive)
        except Disconnected:
            return
        await self._send(http, response, send)

    async def _answer(self, exchange: Exchange, http: HttpRequest, receive: Receive) -> Response:
        length = http.headers.get("content-length")
        chunked = "transfer-encoding" in http.headers
        if not chunked and (length is None or length == "0"):
            if _is_quick(http):
                return exchange.answer(b"")
            return await self._run(exchange.answer, b"")
        size = int(length) if length is not None and length.isdigit() else None
        if size is not None and size <= SMALL_BODY:
            return await self._run(exchange.answer, await _read_body(receive, SMALL_BODY))
        if not _is_streamed(http):
            body = await _read_body(receive, LONGEST_DOCUMENT)
            return await self._run(exchange.answer, body)
        return await self._take(exchange, http, receive)

    async def _take(self, exchange: Exchange, http: HttpRequest, receive: Receive) -> Response:
        """Stream a payload in. While one part of it is hashed and written the next fills the system's buffers."""
        refusal = await self._run(exchange.begin)
        if refusal is not None:
            if "expect" in http.headers:
                # The client still waits for "100 Continue" and will not send its body: the connection is spoilt.
                refusal.headers["connection"] = "close"
            return refusal
        writing: asyncio.Future[Response | None] | None = None
        try:
            more = True
            while more:
                pieces, more = await _read_pieces(receive)
                writing = asyncio.get_running_loop().run_in_executor(self._hashing, exchange.write, pieces)
                if (refusal := await writing) is not None:
                    return refusal
        except (Disconnected, asyncio.CancelledError):
            if writing is not None:
                await asyncio.wait([writing])
            await self._run(exchange.discard)
            raise
        return await self._run(exchange.finish)

    async def _send(self, http: HttpRequest, response: Response, send: Send) -> None:
        body = response.body
        try:
            size = body.length if isinstance(body, FileSlice) else len(body)
            headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in response.headers.items()]
            if response.status not in (204, 304):
                headers.append((b"content-length", b"%d" % (response.length if response.length is not None else size)))
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            if http.method == "HEAD" or size == 0:
                await send({"type": "http.response.body", "body": b""})
            elif isinstance(body, FileSlice):
                await self._send_file(body, send)
            else:
                await send({"type": "http.response.body", "body": body})
        finally:
            if isinstance(body, FileSlice):
                os.close(body.descriptor)

    async def _send_file(self, body: FileSlice, send: Send) -> None:
        """Read ahead by one piece: the disk works while the network does."""
        offset, left = body.offset, body.length
        reading = self._submit(os.pread, body.descriptor, min(left, PIECE), offset)
        try:
            while left > 0:
                piece = await reading
                if not piece:
                    raise OSError(f"a file of the object store is {left} bytes shorter than its row says")
                offset += len(piece)
                left -= len(piece)
                if left > 0:
                    reading = self._submit(os.pread, body.descriptor, min(left, PIECE), offset)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        finally:
            # The descriptor is closed next: no thread may still read from it.
            await asyncio.wait([reading])

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._objects.start_sweeping()
                await send({"type": "lifespan.startup.complete"})
            else:
                self._hashing.shutdown(wait=True)
                self._pool.shutdown(wait=True)
                self._objects.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _submit(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        return await self._submit(function, *arguments)


def _http_request(scope: Scope) -> HttpRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    client = scope.get("client")
    return HttpRequest(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        raw_query=scope["query_string"].decode("latin-1"),
        headers=headers,
        # On the Unix socket there is only the front door, and it says who asked.
        source_ip=client[0] if client else headers.get(SOURCE_IP_HEADER, "127.0.0.1"),
    )


def _is_quick(http: HttpRequest) -> bool:
    """Reading one object's row, which never waits for a writer, takes less time than the way to a thread and back."""
    path = http.raw_path
    return (
        http.method in ("GET", "HEAD")
        and "/" in path[1:]
        and not path.endswith("/")
        and "uploadId" not in http.raw_query
    )


def _is_streamed(http: HttpRequest) -> bool:
    try:
        return route(http.method, http.raw_path, http.raw_query, http.headers).operation in STREAMED
    except CallerError:
        # Answered with this very error once the body has been read.
        return False


async def _read_body(receive: Receive, limit: int) -> bytes:
    """The whole body; what goes beyond the limit is read and thrown away, and the document then fails as malformed."""
    body, more = await _receive(receive)
    if not more:
        return body
    pieces, size = [body], len(body)
    while more:
        body, more = await _receive(receive)
        size += len(body)
        if size <= limit:
            pieces.append(body)
    return b"".join(pieces)


async def _read_pieces(receive: Receive) -> tuple[list[bytes], bool]:
    """About a mebibyte of the body, in the pieces in which it came, and whether there is more."""
    pieces, size, more = [], 0, True
    while more and size < PIECE:
        piece, more = await _receive(receive)
        pieces.append(piece)
        size += len(piece)
    return pieces, more


async def _receive(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)
