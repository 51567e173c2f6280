"""One client's connection: heads in, one exchange at a time, whatever follows kept until its turn."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, cast

from sagebrush.planes.front.answers import Shape, error_response
from sagebrush.planes.front.backend import WRITE_HIGH_WATER
from sagebrush.planes.front.exchange import Exchange
from sagebrush.planes.front.framing import Body
from sagebrush.planes.front.heads import END, BadHead, RequestHead, parse_request_head
from sagebrush.planes.front.invocations.grants import GrantKey
from sagebrush.planes.front.invocations.repeated import Repetitions
from sagebrush.planes.front.routing import INTERNAL_PAGES, Invoked, invoked_endpoint, plane_of
from sagebrush.substrate.wire.everyday import Everyday

if TYPE_CHECKING:
    from sagebrush.planes.front.door import FrontDoor

Phase = Literal["head", "exchange", "draining", "handed-over", "closed"]


#: The first byte of TLS (RFC 8446, section 5.1: a record of type handshake), and of no request.
_HANDSHAKE = b"\x16"
#: How long a connection without a request is new.
_FRESH_SECONDS = 0.25


class ClientExchange(Protocol):
    """A request and its response as the client's connection sees them."""

    head: RequestHead
    body: Body

    @property
    def response(self) -> object | None:
        """None until an answer has begun."""

    @property
    def asked_at(self) -> float:
        """Since when (loop time) an answer is waited for; infinite where the exchange has a deadline of its own."""

    @property
    def arrives_by(self) -> float:
        """When (loop time) the whole body must be there; infinite where only silence ends it."""

    @property
    def splicing(self) -> bool:
        """Whether a body passes inside the kernel."""

    def start(self) -> None:
        """The head is there; the body follows by :meth:`request_data`."""

    def request_data(self, data: bytes) -> bytes:
        """Take what belongs to the request's body; returns what follows it (the next request)."""

    def abandon(self) -> None:
        """The client is gone."""

    def client_writable(self, writable: bool) -> None:
        """Whether the client takes more of the response just now."""

    def expire(self, status: int, code: str, message: str) -> None:
        """Give up waiting: answer if nothing was answered yet, else break off."""

    def waits_for_client(self) -> float | None:
        """Since when a spliced body waits for the client; None when it does not."""


class ClientConnection(asyncio.Protocol):
    """The server side of one client connection, plain or inside the TLS of the CONNECT proxy.

    ``plane`` fixes the plane of every request (inside the proxy's TLS); otherwise each head decides. ``secured``: the
    bytes come out of TLS. Where the platform has a certificate, other machines must use it. Pipelined
    requests are answered in order because the next head is looked at only after the exchange before it. ``enclosed``:
    the client is user code in a network of its own, which reaches the platform and nothing beyond it.
    """

    def __init__(
        self,
        door: FrontDoor,
        *,
        plane: str | None = None,
        source_ip: bytes = b"",
        enclosed: bool = False,
        secured: bool = False,
    ):
        self.door = door
        self.limits = door.limits
        self.phase: Phase = "head"
        self.source_ip = source_ip
        self.enclosed = enclosed
        self.transport: asyncio.Transport
        self._plane = plane
        self._secured = secured
        self._must_secure = False
        self.now: Callable[[], float] = door.loop.time
        self._buffer = b""
        self.exchange: ClientExchange | None = None
        self._advancing = False
        self._served = False
        self._held: set[str] = set()
        self._touched = 0.0
        self._head_since = 0.0
        self._ended_at = 0.0
        self._stalled_since: float | None = None
        #: What this client's invocations have in common, once there was one.
        self.repetitions: Repetitions | None = None

    @property
    def stopping(self) -> bool:
        """Whether the front door is closing: answers then end their connection."""
        return self.door.stopping

    @property
    def from_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.source_ip.decode()).is_loopback
        except ValueError:
            return False

    @property
    def from_here(self) -> bool:
        """Whether the client is on this machine, whichever of its addresses it calls: nobody else hears it."""
        ours = self.transport.get_extra_info("sockname")
        return self.from_loopback or (isinstance(ours, tuple) and str(ours[0]).encode() == self.source_ip)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = transport = cast(asyncio.Transport, transport)
        self._touched = self.now()
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        if not self.source_ip:
            peer = transport.get_extra_info("peername")
            self.source_ip = str(peer[0]).encode() if isinstance(peer, tuple) else b"127.0.0.1"
            self._must_secure = self.door.server_tls is not None and not self._secured and not self.from_here
        self.door.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._touched = self.now()
        if self.phase == "exchange":
            self._exchange_data(data)
            self._next_request()
        elif self.phase == "head":
            if not self._buffer:
                if self.repetitions is not None and self._repeated(data):
                    return
                self._head_since = self._touched
                self._buffer = data
            else:
                self._buffer += data
            self._next_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.connections.discard(self)
        self.phase = "closed"
        if self.exchange is not None:
            exchange, self.exchange = self.exchange, None
            exchange.abandon()

    def pause_writing(self) -> None:
        self._stalled_since = self.now()
        if self.exchange is not None:
            self.exchange.client_writable(False)

    def resume_writing(self) -> None:
        self._stalled_since = None
        if self.exchange is not None:
            self.exchange.client_writable(True)

    # What the exchange asks for

    @property
    def plain(self) -> bool:
        """Whether the socket carries the bytes as they are (no TLS)."""
        return not self._secured

    @property
    def stalled(self) -> bool:
        """Whether the client takes no more of its response just now."""
        return self._stalled_since is not None

    def write(self, data: bytes) -> None:
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def hold_reading(self, reason: str, held: bool) -> None:
        """Stop or go on reading from the client; reading goes on when no reason is left."""
        if self.transport.is_closing():
            return
        if held:
            if not self._held:
                self.transport.pause_reading()
            self._held.add(reason)
        elif reason in self._held:
            self._held.discard(reason)
            if not self._held:
                self._touched = self.now()
                self.transport.resume_reading()

    def exchange_done(self, *, close: bool) -> None:
        """The response is out: on to the next request, or to the end of the connection."""
        exchange, self.exchange = self.exchange, None
        if self._held:
            for reason in tuple(self._held):
                self.hold_reading(reason, False)
        if close or self.stopping:
            self._end(drain=exchange is None or not exchange.body.done)
            return
        self.phase = "head"
        self._served = True
        self._head_since = self.now()
        if self._buffer:
            self._next_request()

    def answer(
        self, status: int, code: str, message: str, *, shape: Shape, retry_after_seconds: int | None = None
    ) -> None:
        """Answer the current request with an error of our own and close."""
        exchange = self.exchange
        self.write(
            error_response(
                status,
                code,
                message,
                shape=shape,
                close=True,
                retry_after_seconds=retry_after_seconds,
                head_only=exchange is not None and exchange.head.method == b"HEAD",
            )
        )
        self.exchange_done(close=True)

    def abort(self) -> None:
        """Break the connection off."""
        self.phase = "closed"
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abandon()
        self.transport.abort()

    # What the front door asks for

    def stop(self) -> None:
        """The front door closes: end now if idle, else after the current exchange. Called until there is an end.

        Who has just connected gets a moment: closing on them would refuse a request that is on its way.
        """
        if self.phase == "head" and not self._buffer and (self._served or self.now() - self._touched > _FRESH_SECONDS):
            self.transport.close()

    def check(self, now: float) -> None:
        """Called about once a second: end what takes too long."""
        limits = self.limits
        if self._stalled_since is not None and now - self._stalled_since > limits.stall_seconds:
            self.abort()
        elif self.phase == "head":
            if self._buffer and now - self._head_since > limits.head_seconds:
                self.answer(408, "RequestTimeout", "The request's headers did not arrive in time.", shape=self._guess())
            elif not self._buffer and now - self._touched > limits.idle_seconds:
                self.transport.close()
        elif self.phase in ("draining", "closed"):
            if now - self._ended_at > limits.linger_seconds:
                self.abort()
        elif self.phase == "exchange" and self.exchange is not None:
            self._check_exchange(self.exchange, now)

    def hand_over(self) -> bytes:
        """The transport now belongs to somebody else (TLS, a tunnel); returns bytes that were already read."""
        self.phase = "handed-over"
        self.door.connections.discard(self)
        rest, self._buffer = self._buffer, b""
        return rest

    # Inside

    def _next_request(self) -> None:
        if self._advancing:
            return  # An exchange was over before it returned: the loop below goes on.
        self._advancing = True
        try:
            self._begin_what_is_there()
        finally:
            self._advancing = False

    def _begin_what_is_there(self) -> None:
        while self.phase == "head" and self._buffer:
            # RFC 9112 section 2.2: be lenient about empty lines before the request line.
            while self._buffer[:2] == b"\r\n":
                self._buffer = self._buffer[2:]
            if self._buffer[:1] == _HANDSHAKE and self.plain and not self._served:
                self.door.proxy.begin_tls(self)
                return
            buffer = self._buffer
            end = buffer.find(END)
            size = len(buffer) if end < 0 else end
            if size > self.limits.head_bytes:
                message = f"Your request header section exceeds {self.limits.head_bytes} bytes."
                self.answer(431, "RequestHeaderSectionTooLarge", message, shape=self._guess())
                return
            if end < 0:
                return
            raw, self._buffer = buffer[: end + 4], buffer[end + 4 :]
            try:
                head = parse_request_head(raw)
                self._begin(head)
            except BadHead as error:
                self._buffer = raw
                self.answer(400, "BadRequest", f"The request is not readable: {error}.", shape=self._guess())

    def _begin(self, head: RequestHead) -> None:
        if self._must_secure:
            message = "This platform is reached by https from other machines: use https:// with its certificate."
            self.answer(400, "BadRequest", message, shape=self._guess() if self._buffer else "s3")
            return
        if head.method == b"CONNECT":
            if self._secured:
                self.answer(403, "Forbidden", "There is no CONNECT within TLS.", shape="json")
                return
            self.door.proxy.begin(self, head)
            return
        if not head.target.startswith(b"/"):
            raise BadHead("the request target must be a path: this is no general proxy")
        self.phase = "exchange"
        self.exchange = exchange = self._exchange_for(head)
        if exchange is None:
            return
        rest, self._buffer = self._buffer, b""
        exchange.start()
        if rest:
            self._exchange_data(rest)

    def learn(self, head: RequestHead, claim: Everyday, key: GrantKey, invoked: Invoked) -> None:
        """A request was verified: the next one may take the short way."""
        if self.repetitions is None:
            self.repetitions = Repetitions()
        self.repetitions.learn(head, claim, key, invoked)

    def _repeated(self, data: bytes) -> bool:
        """Take the short way with a request that repeats an earlier one; False when it does not, or not quite."""
        assert self.repetitions is not None
        invocations = self.door.invocations
        repeated = self.repetitions.find(data)
        if repeated is None or invocations is None:
            return False
        payload = invocations.verified(repeated, data)
        if payload is None:
            return False
        self.repetitions.known()
        invocation = invocations.begin(self, repeated.head, repeated.invoked)
        self.phase = "exchange"
        self.exchange = invocation
        invocation.repeat(payload, repeated.forwarded)
        return True

    def _exchange_for(self, head: RequestHead) -> ClientExchange | None:
        door = self.door
        if self._plane is None and door.invocations is not None and (invoked := invoked_endpoint(head)) is not None:
            return door.invocations.begin(self, head, invoked)
        if head.target.startswith(INTERNAL_PAGES):
            self.answer(404, "NotFound", "There is no such page.", shape="json")
            return None
        return Exchange(self, head, door.backends[self._plane or plane_of(head)])

    def _exchange_data(self, data: bytes) -> None:
        exchange = self.exchange
        rest = data if exchange is None or exchange.body.done else exchange.request_data(data)
        if rest and self.phase in ("exchange", "head"):
            self._buffer += rest
            if self.phase == "exchange" and len(self._buffer) > self.limits.head_bytes:
                self.hold_reading("pipeline", True)

    def _end(self, *, drain: bool) -> None:
        """Close; after an early answer first read what the client still sends, or it would never see the answer."""
        self._buffer = b""
        self._ended_at = self.now()
        if drain and not self.transport.is_closing():
            self.phase = "draining"
            if self.transport.can_write_eof():
                self.transport.write_eof()
        else:
            self.phase = "closed"
            self.transport.close()

    def _check_exchange(self, exchange: ClientExchange, now: float) -> None:
        limits = self.limits
        if exchange.splicing:
            since = exchange.waits_for_client()
            if since is not None and now - since > min(limits.body_seconds, limits.stall_seconds):
                self.abort()
        elif not exchange.body.done:
            if not self._held and (now - self._touched > limits.body_seconds or now > exchange.arrives_by):
                message = (
                    "Your socket connection to the server was not read from or written to within the timeout period."
                )
                exchange.expire(408, "RequestTimeout", message)
        elif exchange.response is None and now - max(self._touched, exchange.asked_at) > limits.response_seconds:
            exchange.expire(504, "RequestTimeout", "The service did not answer in time.")

    def _guess(self) -> Shape:
        """The error shape for a request that could not be parsed."""
        buffer = self._buffer
        return "json" if buffer.startswith(b"POST /endpoints/") or b"x-amz-target" in buffer.lower() else "s3"
