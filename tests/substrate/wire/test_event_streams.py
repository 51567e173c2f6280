"""Event streams: what we write botocore reads, what botocore's format allows we read, and nothing else."""

from __future__ import annotations

import io
import struct
import uuid
import zlib
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.eventstream import EventStream, EventStreamBuffer
from botocore.exceptions import EventStreamError
from botocore.parsers import create_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.wire.event_messages import (
    MOST_PAYLOAD,
    BadEventStream,
    EventDecoder,
    EventMessage,
    encode,
    frame,
)
from sagebrush.substrate.wire.event_streams import EventStreamWriter, event_member
from tests.substrate.wire.sampling import sample
from tests.substrate.wire.services import SERVED, engine

STREAMS = [
    (service, operation)
    for service in SERVED
    for operation in sorted(engine().service(service).operation_names)
    if event_member(engine().service(service).operation(operation).output_shape)
]

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.binary(max_size=300),
    st.text(max_size=100),
    st.uuids(),
    st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)),
)
NAMES = st.text(min_size=1, max_size=60)
MESSAGES = st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=5), st.binary(max_size=2000)), max_size=5)


class Raw:
    """A response's body as botocore's EventStream asks for it."""

    def __init__(self, data: bytes, piece: int = 7):
        self._data = io.BytesIO(data)
        self._piece = piece

    def stream(self) -> Any:
        return iter(lambda: self._data.read(self._piece), b"")


def writer_of(service: str, operation: str) -> EventStreamWriter:
    found = engine().service(service)
    return EventStreamWriter(found, found.operation(operation))


def botocore_reads(service: str, operation: str, data: bytes) -> EventStream:
    found = engine().service(service)
    output = found.operation(operation).output_shape
    parser = create_parser(found.protocol)._event_stream_parser
    return EventStream(Raw(data), output.members[event_member(output)], parser, operation)


def decoded(data: bytes, piece: int | None = None, **limits: int) -> list[EventMessage]:
    """Every message of a whole stream, fed in pieces."""
    decoder = EventDecoder(**limits)
    found = []
    for start in range(0, len(data), piece or max(1, len(data))):
        decoder.feed(data[start : start + (piece or len(data))])
        while (message := decoder.next()) is not None:
            found.append(message)
    decoder.end()
    return found


# --- by service model ------------------------------------------------------------------------------------------------


def test_there_are_event_streams_among_the_served_services() -> None:
    assert set(STREAMS) == {
        ("sagemaker-runtime", "InvokeEndpointWithResponseStream"),
        ("lambda", "InvokeWithResponseStream"),
        ("logs", "GetLogObject"),
        ("logs", "StartLiveTail"),
        ("s3", "SelectObjectContent"),
    }


@pytest.mark.parametrize("everything", [True, False], ids=["every-member", "required-members"])
@pytest.mark.parametrize(("service", "operation"), STREAMS)
def test_botocore_reads_every_event_as_it_was_meant(service: str, operation: str, everything: bool) -> None:
    stream = engine().service(service).operation(operation).output_shape
    stream = stream.members[event_member(stream)]
    writer = writer_of(service, operation)
    events = {
        name: sample(shape, everything=everything)
        for name, shape in stream.members.items()
        if not shape.metadata.get("exception")
    }
    data = b"".join(writer.event(name, members) for name, members in events.items())
    read = {name: members for event in botocore_reads(service, operation, data) for name, members in event.items()}
    if everything:
        assert read == events
    else:
        assert set(read) == set(events)
    assert len(decoded(data)) == len(events)


@pytest.mark.parametrize(("service", "operation"), STREAMS)
def test_botocore_raises_every_exception_and_unmodelled_errors(service: str, operation: str) -> None:
    stream = engine().service(service).operation(operation).output_shape
    stream = stream.members[event_member(stream)]
    writer = writer_of(service, operation)
    exceptions = {name: shape for name, shape in stream.members.items() if shape.metadata.get("exception")}
    for name, shape in exceptions.items():
        members = dict.fromkeys(shape.members, "ü: what happened")
        with pytest.raises(EventStreamError, match="what happened") as caught:
            list(botocore_reads(service, operation, writer.exception(name, members)))
        assert caught.value.response["Error"]["Code"] == name
    with pytest.raises(EventStreamError, match=r"\(Slow\).*later"):
        list(botocore_reads(service, operation, writer.error("Slow", "later")))


def test_an_rpc_stream_begins_with_an_initial_response() -> None:
    writer = writer_of("logs", "StartLiveTail")
    data = writer.initial_response({}) + writer.event("sessionStart", {"sessionId": "s"})
    stream = botocore_reads("logs", "StartLiveTail", data)
    assert stream.get_initial_response().headers[":event-type"] == "initial-response"
    assert list(stream) == [{"sessionStart": {"sessionId": "s"}}]


def test_what_the_model_does_not_know_is_a_fault() -> None:
    writer = writer_of("sagemaker-runtime", "InvokeEndpointWithResponseStream")
    for wrong in (
        lambda: writer.event("Part", {}),
        lambda: writer.event("ModelStreamError", {}),
        lambda: writer.exception("PayloadPart", {}),
        lambda: writer.event("PayloadPart", {"Bytes": 1}),
        lambda: writer.event("PayloadPart", {"Text": "x"}),
        lambda: writer_of("sagemaker-runtime", "InvokeEndpoint"),
    ):
        with pytest.raises(Fault):
            wrong()


# --- the format ------------------------------------------------------------------------------------------------------


@given(MESSAGES, st.integers(1, 500))
@settings(deadline=None)
def test_what_is_written_is_read_however_it_is_cut(messages: list[tuple[dict[str, Any], bytes]], piece: int) -> None:
    data = b"".join(encode(headers, payload) for headers, payload in messages)
    assert [(dict(m.headers), m.payload) for m in decoded(data, piece)] == messages
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    read = [(set(event.headers), event.payload) for event in buffer]
    assert read == [(set(headers), payload) for headers, payload in messages]


def test_values_keep_their_types() -> None:
    values = {
        "yes": True,
        "no": False,
        "small": -5,
        "large": 1 << 40,
        "bytes": b"\x00\xff",
        "text": "grün",
        "id": uuid.UUID(int=7),
        "moment": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    }
    (message,) = decoded(encode(values, b""))
    assert message.headers == values
    assert [type(value) for value in message.headers.values()] == [type(value) for value in values.values()]
    short = b"\x01b\x02\xff" + b"\x01s\x03\xff\xfe"
    assert decoded(frame(short, b""))[0].headers == {"b": -1, "s": -2}


@given(st.binary(max_size=400), st.integers(1, 50))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes, piece: int) -> None:
    # Sixteen bytes with two right checksums do not come by chance: there is nothing, or it is refused.
    with pytest.raises(BadEventStream, match=r"^message at byte 0: ") if data else nullcontext():
        assert decoded(data, piece) == []


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_headers_with_right_checksums_are_read_or_refused(headers: bytes) -> None:
    try:
        (message,) = decoded(frame(headers, b"payload"))
    except BadEventStream:
        return
    assert message.payload == b"payload"


@given(MESSAGES.filter(bool), st.data())
@settings(deadline=None)
def test_a_changed_byte_is_noticed(messages: list[tuple[dict[str, Any], bytes]], data: st.DataObject) -> None:
    whole = bytearray(b"".join(encode(headers, payload) for headers, payload in messages))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadEventStream):
        decoded(bytes(whole))


def test_an_end_within_a_message_is_told() -> None:
    data = encode({"a": "b"}, b"payload") * 2
    for cut in range(len(data) // 2 + 1, len(data)):
        with pytest.raises(BadEventStream, match=f"message at byte {len(data) // 2}: the stream ends after"):
            decoded(data[:cut])


def prelude(total: int, headers: int) -> bytes:
    lengths = struct.pack("!II", total, headers)
    return lengths + struct.pack("!I", zlib.crc32(lengths))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (prelude(0, 0), "cannot hold"),
        (prelude(15, 0), "cannot hold"),
        (prelude(100, 90), "cannot hold"),
        (prelude(0xFFFFFFFF, 0), "payload has 4294967279 bytes"),
        (prelude(0xFFFFFFFF, 0xFFFFFFF0), "headers have 4294967280 bytes"),
        (b"HTTP/1.1 200 OK\r\n", "no event stream"),
        (frame(b"\x00", b""), "has no name"),
        (frame(b"\x01a\x0a", b""), "type 10"),
        (frame(b"\x01a\x07\x00\x05ab", b""), "end in the middle"),
        (frame(b"\x01a", b""), "end in the middle"),
        (frame(b"\x01a\x04\x00", b""), "end in the middle"),
        (frame(b"\x01a\x00\x01a\x00", b""), "header a twice"),
        (frame(b"\x01\xff\x00", b""), "not UTF-8"),
        (frame(b"\x01a\x07\x00\x01\xff", b""), "not UTF-8"),
        (frame(b"\x01a\x08" + b"\x7f" * 8, b""), "beyond every calendar"),
    ],
)
def test_what_is_wrong_is_told_and_stays_wrong(data: bytes, told: str) -> None:
    good = encode({"a": 1}, b"x")
    decoder = EventDecoder()
    decoder.feed(good + data + good)
    assert decoder.next() == EventMessage({"a": 1}, b"x")
    for again in (decoder.next, decoder.end, decoder.next, lambda: decoder.feed(good)):
        with pytest.raises(BadEventStream, match=f"message at byte {len(good)}: .*{told}"):
            again()


def test_limits_are_those_that_were_given() -> None:
    message = encode({"name": "value"}, b"x" * 100)
    assert decoded(message, most_headers=13, most_payload=100)
    with pytest.raises(BadEventStream, match="12 is the most"):
        decoded(message, most_headers=12)
    with pytest.raises(BadEventStream, match="99 is the most"):
        decoded(message, most_payload=99)


def test_what_no_message_can_hold_is_refused_before_it_is_sent() -> None:
    for headers, payload in (
        ({"": 1}, b""),
        ({"n" * 256: 1}, b""),
        ({"n": "v" * 32768}, b""),
        ({"n": 1 << 63}, b""),
        ({str(i): "v" * 32000 for i in range(5)}, b""),
        ({}, bytes(MOST_PAYLOAD + 1)),
    ):
        with pytest.raises(ValueError, match=r"most|bytes|int"):
            encode(headers, payload)
