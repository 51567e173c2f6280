"""One InvokeEndpointWithResponseStream: as an invocation, but what the model says goes on as it comes, in events.

Nothing of the answer is kept: where the client takes no more, the worker is not read, and so waits. Before the first
byte of the answer errors are those of InvokeEndpoint; after it they are the last event of the stream.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from sagebrush.planes.front.invocations import parts, responses
from sagebrush.planes.front.invocations.answer import Answer
from sagebrush.planes.front.invocations.invocation import Invocation
from sagebrush.planes.front.invocations.lane import Break, Lane
from sagebrush.planes.front.invocations.responses import connection_option, stream_head
from sagebrush.planes.front.invocations.variant import Variant

if TYPE_CHECKING:
    from sagebrush.planes.front.connection import ClientConnection

_STOPPING: Final = "The platform's front door is being restarted. Please try again."


class ResponseStream(Invocation):
    """The exchange of one client with one worker.

    A worker whose client has left, or whose time is over, is told by the end of our half of its connection; it stays
    busy until it has noticed.
    """

    action = "sagemaker:InvokeEndpointWithResponseStream"
    streams = True

    _begun = False
    _overdue = False

    def _seconds(self, variant: Variant) -> float:
        return self._service.rules.stream_seconds

    # --- the answer --------------------------------------------------------------------------------------------------

    def answer_grows(self, lane: Lane) -> None:
        """A part of the answer is there."""
        answer, client = lane.answer, self._client
        assert answer.head is not None
        if client is None or self._answered:
            answer.pieces.clear()
        elif not 200 <= answer.head.status < 300:
            super().answer_grows(lane)
        else:
            self._pass_events(answer, client)
            if client.stalled:
                lane.read(False)

    def answered(self, lane: Lane) -> None:
        """The answer is complete, if anybody still waits for it."""
        answer, client = lane.answer, self._client
        if self._answered:
            self._ended()
            return
        assert answer.head is not None
        if answer.failure is not None and client is not None and 200 <= answer.head.status < 300:
            self._pass_events(answer, client)  # What the model had made before it failed.
        super().answered(lane)

    def broken(self, lane: Lane, why: Break) -> None:
        """The worker's connection has ended."""
        if self._answered:
            self._ended()
        else:
            super().broken(lane, why)

    def _ended(self) -> None:
        """The worker is through with what nobody waited for any more."""
        self._lane = None
        assert self._variant is not None
        self._variant.pump(self._service.loop.time())

    def _complete(self, answer: Answer, client: ClientConnection) -> None:
        self._pass_events(answer, client)
        if not self._begun:
            self._begin(answer, client)  # An answer without a byte is a stream without an event.
        self._end_stream(client)

    def _pass_events(self, answer: Answer, client: ClientConnection) -> None:
        data = answer.body
        answer.pieces.clear()
        if not data:
            return
        if not self._begun:
            self._begin(answer, client)
        self._write(client, parts.payload_parts(data))

    def _begin(self, answer: Answer, client: ClientConnection) -> None:
        head, variant = answer.head, self._variant
        assert head is not None
        assert variant is not None
        self._begun = True
        self._service.streams.add(self)
        self._release()  # From here on the request cannot be sent again.
        self._chunked_answer = self.head.version != "1.0"
        self._close = client.stopping or not self.head.keep_alive or not self._chunked_answer
        option = connection_option(self.head.version, self._close)
        client.write(
            stream_head(
                variant.name, head.content_type, head.custom_attributes, chunked=self._chunked_answer, option=option
            )
        )

    def _write(self, client: ClientConnection, events: bytes) -> None:
        client.write(b"%x\r\n%b\r\n" % (len(events), events) if self._chunked_answer else events)

    def _end_stream(self, client: ClientConnection) -> None:
        self._service.streams.discard(self)
        if self._chunked_answer:
            client.write(b"0\r\n\r\n")

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def _tell_failure(self, status: int, body: bytes) -> None:
        client, rules = self._client, self._service.rules
        if not self._begun or client is None:
            super()._tell_failure(status, body)
            return
        if self._overdue:
            why, code = responses.stream_overdue(rules.stream_seconds), parts.TIME_EXCEEDED
        else:
            why, code = responses.broken_off(body, endpoint=self._name, account=rules.account), parts.STREAM_BROKEN
        self._write(client, parts.model_stream_error(why, code))
        self._end_stream(client)
        self._finish()

    def overdue(self) -> None:
        """The time is over: for the client, and for the worker."""
        if self._answered:
            self.deadline = math.inf
        else:
            self._overdue = True
            super().overdue()
        self._hang_up()

    def break_off(self) -> None:
        """The front door ends in the middle of the stream."""
        client, variant = self._client, self._variant
        assert variant is not None
        self._service.streams.discard(self)
        if client is None or self._answered:
            return
        variant.counts.current.server_errors += 1
        self._count_model(self._service.monotonic_us())
        self._close = True
        self._write(client, parts.internal_stream_failure(_STOPPING))
        self._end_stream(client)
        self._finish()
        self._hang_up()

    def abandon(self) -> None:
        """The client is gone, which is no error of the model."""
        self._service.streams.discard(self)
        if self._lane is not None:
            self._count_model(self._service.monotonic_us())
        super().abandon()
        self._answered = True
        self._hang_up()

    def _hang_up(self) -> None:
        """The worker need not go on."""
        lane, variant = self._lane, self._variant
        if lane is None or variant is None:
            return
        # A server of the model's own hears of the end of the whole connection; it answers others meanwhile.
        if lane.worker.own_server or not lane.hang_up():
            self._lane = None
            lane.abandon()
            variant.pump(self._service.loop.time())
