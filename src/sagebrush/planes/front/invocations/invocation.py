"""One InvokeEndpoint: the request read whole, verified, brought to a worker; the answer brought back."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import math
from typing import TYPE_CHECKING, Final

from sagebrush.planes.front.framing import BadBody, Body, ChunkedBody, LengthBody
from sagebrush.planes.front.heads import RequestHead
from sagebrush.planes.front.invocations import responses
from sagebrush.planes.front.invocations.answer import Answer
from sagebrush.planes.front.invocations.authentication import Authentication
from sagebrush.planes.front.invocations.capture import Content, Record
from sagebrush.planes.front.invocations.fleet import Endpoint
from sagebrush.planes.front.invocations.grants import Grant, GrantKey
from sagebrush.planes.front.invocations.lane import Break, Lane
from sagebrush.planes.front.invocations.responses import answer_head, connection_option, error_response
from sagebrush.planes.front.invocations.variant import Variant
from sagebrush.planes.front.invocations.worker import Worker, forwarded_lines, request_head
from sagebrush.planes.front.routing import Invoked
from sagebrush.substrate.arns import build
from sagebrush.substrate.errors import CallerError

if TYPE_CHECKING:
    from sagebrush.planes.front.connection import ClientConnection
    from sagebrush.planes.front.invocations.service import Invocations

log = logging.getLogger(__name__)

_OTHER_MODELS: Final = {
    b"x-amzn-sagemaker-target-model": "TargetModel",
    b"x-amzn-sagemaker-target-container-hostname": "TargetContainerHostname",
    b"x-amzn-sagemaker-inference-component": "InferenceComponentName",
}
_HASHED_HERE_BYTES: Final = 256 * 1024
#: Workers that went away while they took this request: more than so many, and the request may be what ends them.
_MOST_RESETS: Final = 3
_MESSAGE_BYTES: Final = 4096
_LONGEST_ATTRIBUTES: Final = 1024
#: The body of a request that came whole.
_WHOLE: Final = LengthBody(0)


class Invocation:
    """The exchange of one client with one worker, in this order: read, verify, route, wait, ask, answer.

    ``client`` becomes None when the client has left or has been answered; the worker's answer is then read to its end
    and thrown away, because a worker cannot be told to stop (but between the parts of an answer, where it makes parts).
    """

    #: What the client's connection asks of an exchange: this one has a deadline of its own.
    asked_at = math.inf
    arrives_by = math.inf
    splicing = False
    response = None

    #: What the caller has to be allowed to do, and whether the answer goes back as a stream of events.
    action = "sagemaker:InvokeEndpoint"
    streams = False

    # Set when they become something else: there is one of these for each request.
    deadline = math.inf
    body: Body
    _chunks: ChunkedBody | None = None
    _payload = b""
    _gathered: bytearray | None = None
    _in_hand = 0
    _answer_in_hand = 0
    _endpoint: Endpoint
    _variant: Variant | None = None
    _lane: Lane | None = None
    _request_head = b""
    _resets = 0
    _arrived_us = 0
    _asked_us = 0
    _streaming = False
    _chunked_answer = False
    _close = False
    _answered = False
    _counted = False

    def __init__(self, service: Invocations, client: ClientConnection, head: RequestHead, name: str):
        self.head = head
        self._service = service
        self._client: ClientConnection | None = client
        self._name = name

    # --- reading -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Decide whether the body is wanted."""
        most = self._service.rules.max_bytes
        if self.head.chunked:
            self.body = self._chunks = ChunkedBody(decode=True, frugal=True)
        else:
            self.body = LengthBody(self.head.content_length)
        if self.head.content_length > most:
            self._refuse(responses.too_large(most), close=True)
            return
        if self.body.done:
            self._whole()
        elif self.head.expects_continue and self._judge_head() and self._client is not None:
            self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def request_data(self, data: bytes) -> bytes:
        """Take what belongs to the body; returns what follows it."""
        try:
            used = self.body.take(data)
        except BadBody as error:
            self._refuse(CallerError("ValidationError", f"The request body is not readable: {error}."), close=True)
            return b""
        if self._chunks is not None:
            self._gather(bytes(self._chunks.decoded))
            self._chunks.decoded.clear()
        else:
            self._gather(data if used == len(data) else data[:used])
        service = self._service
        most = service.rules.max_bytes
        if self._in_hand > most:
            self._refuse(responses.too_large(most), close=True)
        elif service.bytes_in_hand > service.rules.bytes_in_hand and not service.make_room():
            self._refuse(responses.throttled(), close=not self.body.done)
        elif self._client is None:
            return b""
        elif self.body.done:
            self._whole()
        elif self.arrives_by == math.inf:
            self._more_to_come()
        return data[used:]

    def _gather(self, piece: bytes) -> None:
        """Keep a piece of the body: the only one as it is, several in one place, however small they are."""
        self._hold(len(piece))
        if self._gathered is not None:
            self._gathered += piece
        elif self._payload:
            self._gathered = bytearray(self._payload)
            self._gathered += piece
        else:
            self._payload = piece

    def _more_to_come(self) -> None:
        """The body has begun to arrive: it has its time, and the head must be worth waiting for it."""
        service, client = self._service, self._client
        assert client is not None
        limits = client.limits
        size = self.head.content_length or service.rules.max_bytes
        self.arrives_by = service.loop.time() + limits.body_seconds + size / limits.slowest_body
        service.arriving[self] = None
        if not self.head.expects_continue:
            self._judge_head()

    def _judge_head(self) -> bool:
        """Refuse at once what no body can make right: no signature, or a key that is none. False when refused.

        The signature itself is judged when the body is there, which it covers.
        """
        service, client = self._service, self._client
        if client is None or not service.rules.signed:
            return client is not None
        try:
            claimed = Authentication(self.head, "", service.now())
            key = claimed.key(self.action, self._resource(), client.source_ip)
            grant = service.grants.known(key)
            if grant is not None:
                claimed.check_key(grant)
        except CallerError as error:
            self._refuse(error, close=True)
            return False
        if grant is None:
            service.grants.ask(key, functools.partial(self._key_judged, claimed))
        return True

    def _key_judged(self, claimed: Authentication, grant: Grant | None) -> None:
        if grant is None or self._client is None or self.body.done:
            return
        try:
            claimed.check_key(grant)
        except CallerError as error:
            self._refuse(error, close=True)

    def give_way(self) -> None:
        """There is no room for what is still arriving."""
        self._service.arriving.pop(self, None)
        self._refuse(responses.unavailable("Too much is arriving at once. Please try again."), close=True)

    def repeat(self, payload: bytes, lines: bytes) -> None:
        """The request is complete and verified already; ``lines`` of its head are for the worker."""
        self.body = _WHOLE
        self._payload = payload
        self._request_head = request_head(len(payload), lines)
        self._in_hand = len(payload)
        service = self._service
        service.bytes_in_hand += self._in_hand
        self._arrived_us = service.monotonic_us()
        self.route()

    def _whole(self) -> None:
        """The request is complete."""
        self._service.arriving.pop(self, None)
        gathered, self._gathered = self._gathered, None
        if gathered is not None:
            self._payload = bytes(gathered)
        self._arrived_us = self._service.monotonic_us()
        if not self._service.rules.signed:
            self.route()
        elif len(self._payload) <= _HASHED_HERE_BYTES:
            self._authenticate(hashlib.sha256(self._payload).hexdigest())
        else:
            hashed = self._service.loop.run_in_executor(self._service.hashing, _sha256, self._payload)
            hashed.add_done_callback(self._hashed)

    def _hashed(self, digest: asyncio.Future[str]) -> None:
        if self._client is not None and not digest.cancelled():
            self._authenticate(digest.result())

    # --- verifying ---------------------------------------------------------------------------------------------------

    def _authenticate(self, digest: str) -> None:
        client = self._client
        assert client is not None
        try:
            claimed = Authentication(self.head, digest, self._service.now())
            key = claimed.key(self.action, self._resource(), client.source_ip)
            grant = self._service.grants.known(key)
            if grant is not None:
                claimed.check(grant)
        except CallerError as error:
            self._refuse(error)
            return
        if grant is not None:
            self._allowed(client, claimed, key)
        else:
            self._service.grants.ask(key, functools.partial(self._granted, claimed, key))

    def _allowed(self, client: ClientConnection, claimed: Authentication, key: GrantKey) -> None:
        if claimed.plain is not None:
            client.learn(self.head, claimed.plain, key, Invoked(self._name, self.streams))
        self.route()

    def _granted(self, claimed: Authentication, key: GrantKey, grant: Grant | None) -> None:
        client = self._client
        if client is None:
            return
        try:
            claimed.check(grant)
        except CallerError as error:
            self._refuse(error)
            return
        self._allowed(client, claimed, key)

    def _resource(self) -> str:
        endpoint = self._service.fleet.endpoints.get(self._name)
        if endpoint is not None:
            return endpoint.described.arn
        rules = self._service.rules
        return build("sagemaker", rules.region, rules.account, f"endpoint/{self._name.lower()}")

    # --- routing and asking ------------------------------------------------------------------------------------------

    def route(self) -> None:
        """Find the variant that answers, and ask one of its workers or wait for one."""
        service = self._service
        endpoint = service.fleet.endpoints.get(self._name)
        if endpoint is None or not endpoint.serves:
            status = None if endpoint is None else endpoint.described.status
            self._refuse(responses.not_found(self._name, service.rules.account, status))
            return
        if not self._request_head:  # What is said again has been looked at before.
            unwanted = self._unwanted()
            if unwanted is not None:
                self._refuse(unwanted)
                return
        target = self.head.joined.get(b"x-amzn-sagemaker-target-variant")
        if target is None:
            variant = endpoint.choose()
        else:
            named = endpoint.variants.get(target.decode("latin-1"))
            if named is None:
                self._refuse(responses.no_such_variant(self._name, target.decode("latin-1")))
                return
            variant = named
        self._endpoint, self._variant = endpoint, variant
        now = service.loop.time()
        if self.deadline == math.inf:
            self.deadline = now + self._seconds(variant)
        if not self._request_head:
            self._request_head = request_head(len(self._payload), forwarded_lines(self.head, self.streams))
        if not variant.begin(self, now, service.rules.waiting):
            variant.counts.current.client_errors += 1
            self._refuse(responses.throttled())

    def _seconds(self, variant: Variant) -> float:
        """How long this may take, from now to the end of the answer."""
        return variant.timeout_seconds

    def _unwanted(self) -> CallerError | None:
        """What the head asks for and cannot have."""
        names = self.head.joined
        # A model other than the variant's own: better refused than answered by the wrong one.
        other = names.keys() & _OTHER_MODELS.keys()
        if other:
            return responses.not_served(self._name, _OTHER_MODELS[other.pop()])
        if len(names.get(b"x-amzn-sagemaker-custom-attributes", b"")) > _LONGEST_ATTRIBUTES:
            return CallerError("ValidationError", f"CustomAttributes is longer than {_LONGEST_ATTRIBUTES} characters.")
        return None

    def ask(self, worker: Worker, now: float) -> bool:
        """Send the request to this worker; False when nobody listens there."""
        self._asked_us = self._service.monotonic_us()
        self._lane = worker.ask(self._request_head, self._payload, self, now)
        return self._lane is not None

    def broken(self, lane: Lane, why: Break) -> None:
        """The worker's connection has ended without an answer."""
        self._lane = None
        variant = self._variant
        assert variant is not None
        now = self._service.loop.time()
        if why is Break.UNREAD and self._client is not None and self._resets < _MOST_RESETS:
            # A connection that had been idle says nothing about this request.
            if not lane.reused:
                self._resets += 1
                lane.worker.pause(now)
            current = self._service.fleet.endpoints.get(self._name)
            if current is self._endpoint and variant in current.variants.values():
                variant.again(self, now)
            else:
                self.route()
            return
        variant.pump(now)
        text = responses.NOT_HTTP if why is Break.GARBLED else responses.PROCESS_ENDED
        self._fail(0, text.encode(), server_error=True)

    def overdue(self) -> None:
        """The deadline is over: tell the client. Our own workers are left to their model server, which ends them."""
        variant, lane = self._variant, self._lane
        assert variant is not None
        self.deadline = math.inf
        variant.leave(self)
        if lane is not None and lane.worker.own_server:
            lane.abandon()
            self._lane = None
            variant.pump(self._service.loop.time())
        if lane is None and not variant.reachable:
            variant.counts.current.server_errors += 1
            # Not ModelNotReadyException: that is for models which are loaded only when they are asked for.
            self._refuse(responses.unavailable(f"No server of the model answers. Endpoint {self._name} is recovering."))
        elif not self._answered:
            self._fail(0, responses.TIMED_OUT.encode(), server_error=True)

    # --- answering ---------------------------------------------------------------------------------------------------

    def answered(self, lane: Lane) -> None:
        """The worker's answer is complete, and its lane free again."""
        self._lane = None
        variant, answer = self._variant, lane.answer
        assert variant is not None
        assert answer.head is not None
        ended_us = self._service.monotonic_us()
        if variant.waiting:
            variant.pump(self._service.loop.time())
        status = answer.head.status
        if not 200 <= status < 300:
            self._fail(status, answer.body, server_error=status >= 500)
            return
        if answer.failure is not None:
            self._fail(500, answer.failure, server_error=True)
            return
        self._count_model(ended_us)
        if self._client is None:
            return
        self._complete(answer, self._client)
        self._finish()

    def _complete(self, answer: Answer, client: ClientConnection) -> None:
        """The client gets what it does not have of an answer that is complete."""
        if not self._streaming:
            self._send(answer)
            return
        self._pass_on(answer)
        if self._chunked_answer:
            client.write(b"0\r\n\r\n")

    def answer_grows(self, lane: Lane) -> None:
        """A part of a long answer is there. Beyond what we hold, the worker waits for the client."""
        answer, client = lane.answer, self._client
        assert answer.head is not None
        if client is None:
            answer.pieces.clear()
            lane.hang_up()  # What nobody waits for may have no end: handlers can make their answers part by part.
        elif not 200 <= answer.head.status < 300:
            if answer.size > _MESSAGE_BYTES and len(answer.pieces) > 1:
                answer.pieces[:] = [answer.body[:_MESSAGE_BYTES]]
        elif answer.size <= self._service.rules.buffered_bytes:
            self._hold(answer.size - self._answer_in_hand)
            self._answer_in_hand = answer.size
        else:
            if not self._streaming:
                self._begin_stream(answer, client)
            self._pass_on(answer)
            if client.transport.get_write_buffer_size() > self._service.rules.buffered_bytes:
                lane.read(False)

    def _send(self, answer: Answer) -> None:
        head, client, variant = answer.head, self._client, self._variant
        assert head is not None
        assert client is not None
        assert variant is not None
        body = answer.body
        capture = self._endpoint.described.capture
        if capture is not None and self._service.captures(capture):
            self._capture(body, answer)
        self._close = client.stopping or not self.head.keep_alive
        option = connection_option(self.head.version, self._close)
        client.write(answer_head(variant.name, head.content_type, head.custom_attributes, answer.size, option) + body)

    def _begin_stream(self, answer: Answer, client: ClientConnection) -> None:
        head, variant = answer.head, self._variant
        assert head is not None
        assert variant is not None
        self._streaming = True
        length = head.content_length
        self._close = client.stopping or not self.head.keep_alive or (length is None and self.head.version == "1.0")
        self._chunked_answer = length is None and self.head.version != "1.0" and not self._close
        option = connection_option(self.head.version, self._close)
        client.write(answer_head(variant.name, head.content_type, head.custom_attributes, length, option))
        if self._endpoint.described.capture is not None:
            variant.counts.current.capture_dropped += 1  # A record holds whole bodies, and this one is held nowhere.

    def _pass_on(self, answer: Answer) -> None:
        assert self._client is not None
        data = b"".join(answer.pieces)
        answer.pieces.clear()
        if data and self._chunked_answer:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._client.write(data)

    def _fail(self, status: int, body: bytes, *, server_error: bool) -> None:
        """The model did not answer as it should; the client is told what it said."""
        variant = self._variant
        assert variant is not None
        if not self._counted:
            current = variant.counts.current
            current.model_errors += 1
            if server_error:
                current.server_errors += 1
            else:
                current.client_errors += 1
            if self._asked_us:
                self._count_model(self._service.monotonic_us())
        self._tell_failure(status, body)

    def _tell_failure(self, status: int, body: bytes) -> None:
        """The client learns that the model failed."""
        rules = self._service.rules
        if self._streaming and self._client is not None:
            self._client.abort()  # The client must notice that the answer is cut short.
            return
        self._refuse(
            responses.model_error(status, body, endpoint=self._name, region=rules.region, account=rules.account)
        )

    def _refuse(self, error: CallerError, *, close: bool = False) -> None:
        """Answer with an error."""
        variant, client = self._variant, self._client
        if variant is not None and not self._counted:
            variant.counts.current.invocations += 1
            self._counted = True
        if client is None:
            return
        self._close = close or client.stopping or not self.head.keep_alive
        client.write(error_response(error, connection_option(self.head.version, self._close)))
        self._finish()

    def _finish(self) -> None:
        """Everything is written; the connection goes on as soon as the client has taken (most of) it."""
        self._answered = True
        client = self._client
        if client is None:
            return
        if client.stalled:
            waits = client.transport.get_write_buffer_size()
            self._hold(waits - self._answer_in_hand)
            self._answer_in_hand = waits
            return
        self._client = None
        self._release()
        client.exchange_done(close=self._close)

    def _count_model(self, ended_us: int) -> None:
        """The model has had this request: its time, and ours."""
        variant = self._variant
        assert variant is not None
        if self._counted:
            return
        self._counted = True
        variant.counts.answered(ended_us - self._asked_us, self._asked_us - self._arrived_us)

    def _capture(self, body: bytes, answer: Answer) -> None:
        endpoint, variant = self._endpoint.described, self._variant
        assert endpoint.capture is not None
        assert variant is not None
        assert answer.head is not None
        names = self.head.joined

        def text(name: bytes) -> str | None:
            value = names.get(name)
            return None if value is None else value.decode("latin-1")

        record = Record(
            endpoint.spool,
            variant.name,
            endpoint.capture,
            self._service.clock.now_us(),
            Content(text(b"content-type") or "", self._payload),
            Content(answer.head.content_type.decode("latin-1"), body),
            text(b"x-amzn-sagemaker-inference-id"),
            text(b"x-amzn-sagemaker-custom-attributes"),
            self._service.dropped(variant.counts),
        )
        if not self._service.spool.captured(record):
            variant.counts.current.capture_dropped += 1

    # --- the client's connection -------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """The client is gone. Whatever waits is dropped; what a worker has is left to end."""
        self._client = None
        if self._variant is not None:
            self._variant.leave(self)
        if self._lane is not None:
            self._lane.answer.pieces.clear()
            self._lane.read(True)
        self._release()

    def client_writable(self, writable: bool) -> None:
        """Whether the client takes more of the answer just now."""
        if not writable:
            return
        if self._answered:
            self._finish()
        elif self._lane is not None:
            self._lane.read(True)

    def expire(self, status: int, code: str, message: str) -> None:
        """The client takes too long."""
        self._refuse(CallerError(code, message, status=status), close=True)

    def waits_for_client(self) -> float | None:
        """Nothing of this passes inside the kernel."""
        return None

    def _hold(self, count: int) -> None:
        self._in_hand += count
        self._service.bytes_in_hand += count

    def _release(self) -> None:
        self._service.bytes_in_hand -= self._in_hand
        self._in_hand = 0
        self._payload = b""
        self._gathered = None
        self._service.arriving.pop(self, None)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
