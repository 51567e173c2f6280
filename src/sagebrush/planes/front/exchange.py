"""One request and its response, streamed between a client connection and a plane."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sagebrush.planes.front import splice
from sagebrush.planes.front.answers import shape_of
from sagebrush.planes.front.backend import WRITE_HIGH_WATER, Backend, BackendDown, Upstream
from sagebrush.planes.front.framing import BadBody, Body, ChunkedBody, EndlessBody, LengthBody
from sagebrush.planes.front.heads import (
    END,
    BadHead,
    RequestHead,
    ResponseHead,
    parse_response_head,
    upstream_head,
    with_connection,
)
from sagebrush.planes.front.splice import Splice

if TYPE_CHECKING:
    from sagebrush.planes.front.connection import ClientConnection

log = logging.getLogger(__name__)

#: Methods that S3 and REST define as idempotent: sent again when a connection breaks before the answer.
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"})
_MAX_RESPONSE_HEAD: Final = 256 * 1024
_MAX_ATTEMPTS: Final = 3


class Exchange:
    """Forwards a request as it arrives and its response as it comes, each side paused when the other is full.

    A connection that breaks before the first byte of the answer is replaced and the request sent again if it is
    idempotent, or if the plane provably did not read it; otherwise the client gets a 503.
    """

    def __init__(self, client: ClientConnection, head: RequestHead, backend: Backend):
        self.head = head
        self.backend = backend
        self.body: Body = ChunkedBody(frugal=True) if head.chunked else LengthBody(head.content_length)
        self.response: ResponseHead | None = None
        self.asked_at = client.now()
        self.arrives_by = math.inf
        self._client = client
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._attempts = 0
        self._unsent: list[bytes] = [upstream_head(head, client.source_ip)]
        self._sent: list[bytes] | None = []
        self._sent_bytes = 0
        self._response_bytes = b""
        self._response_body: Body = LengthBody(0)
        self._client_closes = False
        self._plane_reusable = True
        self._splice: Splice | None = None
        self._draining: tuple[asyncio.Transport, Callable[[], None]] | None = None
        self._inbound = False

    def start(self) -> None:
        """Get a connection to the plane and send what is there."""
        upstream = self.backend.idle()
        if upstream is not None:
            self._attach(upstream)
        else:
            self._connect()

    def request_data(self, data: bytes) -> bytes:
        """Take what belongs to the request's body; returns what follows it (the next request)."""
        try:
            used = self.body.take(data)
        except BadBody as error:
            self._refuse(400, "IncompleteBody", f"The request body is not readable: {error}.")
            return b""
        piece = data if used == len(data) else data[:used]
        if self._upstream is not None:
            self._send(piece)
            self._consider_splice(self.body, self._upstream.transport, self._splice_request)
        else:
            self._unsent.append(piece)
        return data[used:]

    def abandon(self) -> None:
        """The client is gone."""
        if self._connecting is not None:
            self._connecting.cancel()
        self._stop_splice()
        if self._upstream is not None:
            self._upstream.release(reusable=False)
            self._upstream = None

    def client_writable(self, writable: bool) -> None:
        """Whether the client takes more of the response just now."""
        if self._upstream is not None:
            self._upstream.read(writable)
        if writable:
            self._drained()

    def expire(self, status: int, code: str, message: str) -> None:
        """Give up waiting: answer if nothing was answered yet, else break off."""
        if self.response is None:
            self._refuse(status, code, message)
        else:
            self._client.abort()

    def waits_for_client(self) -> float | None:
        """Since when a spliced body waits for the client to send or take more; None when it does not."""
        moving = self._splice
        if moving is None or moving.waiting_for != ("source" if self._inbound else "sink"):
            return None
        return moving.since

    @property
    def splicing(self) -> bool:
        return self._splice is not None

    # What the plane's connection says

    def upstream_data(self, data: bytes) -> None:
        try:
            if self.response is None:
                rest = self._take_response_head(self._response_bytes + data)
                if rest is None:
                    return
                data = rest
            self._take_response_body(data)
        except (BadHead, BadBody) as error:
            log.error("the %s plane answered what is not HTTP: %s", self.backend.name, error)
            self._plane_reusable = False
            self.expire(503, "ServiceUnavailable", "The service answered something unreadable.")

    def upstream_lost(self, error: Exception | None) -> None:
        self._upstream = None
        self._stop_splice()
        self._client.hold_reading("upstream", False)
        if self.response is None:
            if self._may_send_again(error):
                self._unsent, self._sent, self._sent_bytes = (self._sent or []) + self._unsent, [], 0
                self._connect()
            else:
                self._unavailable()
        elif isinstance(self._response_body, EndlessBody):
            self._finish()
        else:
            # The client must notice that the response is cut short.
            self._client.abort()

    def upstream_writable(self, writable: bool) -> None:
        self._client.hold_reading("upstream", not writable)
        if writable:
            self._drained()

    # Sending

    def _connect(self) -> None:
        self._client.hold_reading("connecting", True)
        self._connecting = asyncio.get_running_loop().create_task(self._connected())

    async def _connected(self) -> None:
        try:
            upstream = await self.backend.connect()
        except BackendDown:
            self._unavailable()
            return
        finally:
            self._connecting = None
        self._client.hold_reading("connecting", False)
        self._attach(upstream)

    def _attach(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._attempts += 1
        upstream.exchange = self
        upstream.read(not self._client.stalled)
        unsent, self._unsent = self._unsent, []
        self._send(b"".join(unsent))

    def _send(self, piece: bytes) -> None:
        assert self._upstream is not None
        self._upstream.transport.write(piece)
        if self._sent is not None:
            self._sent_bytes += len(piece)
            if self._sent_bytes > self._client.limits.replay_bytes:
                self._sent = None
            else:
                self._sent.append(piece)

    def _may_send_again(self, error: Exception | None) -> bool:
        if self._sent is None or self._attempts >= _MAX_ATTEMPTS:
            return False
        # EPIPE and ECONNRESET on a Unix socket: the plane closed without having read what we wrote.
        unread = isinstance(error, (BrokenPipeError, ConnectionResetError))
        return unread or self.head.method in _IDEMPOTENT

    def _unavailable(self) -> None:
        log.warning("the %s plane is not answering", self.backend.name)
        message = "The service is starting or restarting. Please try again."
        self._refuse(503, "ServiceUnavailable", message, retry_after_seconds=2)

    def _refuse(self, status: int, code: str, message: str, *, retry_after_seconds: int | None = None) -> None:
        self.abandon()
        self._client.answer(
            status, code, message, shape=shape_of(self.head, self.backend.name), retry_after_seconds=retry_after_seconds
        )

    # The response

    def _take_response_head(self, data: bytes) -> bytes | None:
        """Read heads up to the final one; informational ones pass at once. Returns what follows; None until it ends."""
        while True:
            end = data.find(END)
            if end < 0:
                if len(data) > _MAX_RESPONSE_HEAD:
                    raise BadHead("the response head does not end")
                self._response_bytes = data
                return None
            raw, data = data[: end + len(END)], data[end + len(END) :]
            head = parse_response_head(raw)
            if not head.informational:
                self._response_bytes = b""
                self._begin_response(head)
                return data
            if self.head.version == "1.1":
                self._client.write(raw)

    def _begin_response(self, head: ResponseHead) -> None:
        self.response = head
        self._sent = None
        old_client = self.head.version == "1.0"
        decode = old_client and head.chunked
        self._response_body = self._body_of(head, decode)
        endless = isinstance(self._response_body, EndlessBody)
        self._plane_reusable = not head.close and not endless
        # A body that was not read to its end leaves the connection useless (RFC 9110 section 10.1.1 on Expect).
        unread = not self.body.done
        self._client_closes = unread or endless or decode or not self.head.keep_alive or self._client.stopping
        raw = head.raw
        if self._client_closes:
            raw = with_connection(raw, b"close", drop_chunked=decode)
        elif old_client or head.close:
            raw = with_connection(raw, b"keep-alive")
        self._client.write(raw)

    def _body_of(self, head: ResponseHead, decode: bool) -> Body:
        if not head.has_body(self.head.method):
            return LengthBody(0)
        if head.chunked:
            return ChunkedBody(decode=decode)
        return EndlessBody() if head.content_length is None else LengthBody(head.content_length)

    def _take_response_body(self, data: bytes) -> None:
        body = self._response_body
        if data and not body.done:
            used = body.take(data)
            if isinstance(body, ChunkedBody) and self._client_closes and self.head.version == "1.0":
                self._client.write(bytes(body.decoded))
                body.decoded.clear()
            else:
                self._client.write(data if used == len(data) else data[:used])
            data = data[used:]
        if data:
            self._plane_reusable = False  # More than it announced: that connection is not to be trusted.
        if body.done:
            self._finish()
        else:
            self._consider_splice(body, self._client.transport, self._splice_response)

    def _finish(self) -> None:
        self._stop_splice()
        if self._upstream is not None:
            upstream, self._upstream = self._upstream, None
            upstream.release(reusable=self._plane_reusable and self.body.done)
        self._client.exchange_done(close=self._client_closes)

    # Long bodies

    def _consider_splice(self, body: Body, sink: asyncio.Transport, begin: Callable[[LengthBody], None]) -> None:
        """Let the kernel move the rest of a long body, as soon as ``sink`` has written what is queued."""
        if (
            not splice.AVAILABLE
            or not isinstance(body, LengthBody)
            or body.remaining < splice.WORTHWHILE_BYTES
            or not self._client.plain
            or self._splice is not None
            or self._draining is not None
        ):
            return
        if sink.get_write_buffer_size() == 0:
            begin(body)
        else:
            # With no room at all the transport reports itself full now, and writable once all is out.
            self._draining = (sink, lambda: begin(body))
            sink.set_write_buffer_limits(high=0)

    def _drained(self) -> None:
        if self._draining is not None:
            sink, begin = self._draining
            self._draining = None
            sink.set_write_buffer_limits(high=WRITE_HIGH_WATER)
            begin()

    def _splice_request(self, body: LengthBody) -> None:
        upstream = self._upstream
        if upstream is None or self._splice is not None or body.done or not splice.possible(upstream.transport):
            return
        if body is not self.body or self._client.transport.is_closing() or self.response is not None:
            return
        self._sent = None
        self._inbound = True
        self._client.hold_reading("splicing", True)

        def ended(left: int) -> None:
            self._splice = None
            body.remaining, body.done = left, left == 0
            self._client.hold_reading("splicing", False)
            if left and upstream is self._upstream and not self._client.transport.is_closing():
                # Reading again, each side finds out by itself which one has ended.
                upstream.read(True)

        self._begin_splice(self._client.transport, upstream.transport, body.remaining, ended)

    def _splice_response(self, body: LengthBody) -> None:
        upstream = self._upstream
        if upstream is None or self._splice is not None or body.done or body is not self._response_body:
            return
        if upstream.transport.is_closing() or not splice.possible(self._client.transport):
            return
        self._inbound = False
        upstream.read(False)

        def ended(left: int) -> None:
            self._splice = None
            body.remaining, body.done = left, left == 0
            if body.done:
                self._finish()
            else:
                upstream.read(True)

        self._begin_splice(upstream.transport, self._client.transport, body.remaining, ended)

    def _begin_splice(
        self, source: asyncio.Transport, sink: asyncio.Transport, count: int, ended: Callable[[int], None]
    ) -> None:
        def once(left: int) -> None:
            # A splice may end before its constructor returns.
            loop.call_soon(settled, left)

        def settled(left: int) -> None:
            if self._splice is moving:
                ended(left)

        loop = asyncio.get_running_loop()
        self._splice = moving = Splice(source, sink, count, once)

    def _stop_splice(self) -> None:
        if self._draining is not None:
            sink, _ = self._draining
            self._draining = None
            sink.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        if self._splice is not None:
            self._splice.cancel()
            self._splice = None
