"""Messages of ``application/vnd.amazon.eventstream``: typed headers and a payload, guarded by two checksums.

Source: "Event Stream Specification", Smithy (AWS), and what botocore reads::

    total length (4) | length of the headers (4) | CRC of these 8 bytes (4) | headers | payload | CRC of all before (4)

Numbers are big-endian, CRCs are CRC-32. Which headers an event has is :mod:`event_streams`' business.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
#: Beyond these botocore, and so every boto3 client, refuses a message.
MOST_HEADERS: Final = 128 * 1024
MOST_PAYLOAD: Final = 24 * 1024 * 1024

HeaderValue = bool | int | bytes | str | datetime | uuid.UUID

_LENGTHS: Final = struct.Struct("!II")
_CRC: Final = struct.Struct("!I")
_PRELUDE: Final = _LENGTHS.size + _CRC.size
_AROUND: Final = _PRELUDE + _CRC.size
_LONGEST_NAME: Final = 255
_LONGEST_VALUE: Final = 32767
_TRUE, _FALSE, _BYTE, _SHORT, _INTEGER, _LONG, _BYTES, _TEXT, _TIMESTAMP, _UUID = range(10)
_NUMBERS: Final = {_BYTE: struct.Struct("!b"), _SHORT: struct.Struct("!h"), _INTEGER: struct.Struct("!i")}
_LONG_NUMBER: Final = struct.Struct("!q")
_LENGTH: Final = struct.Struct("!H")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class BadEventStream(Exception):
    """What arrived is no event stream, or not all of one; the text says where it stops being one."""


@dataclass(frozen=True, slots=True)
class EventMessage:
    """One message as it was read."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


def encode(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """A whole message. Raises ValueError for what no message can hold."""
    return frame(encode_headers(headers), payload)


def encode_headers(headers: Mapping[str, HeaderValue]) -> bytes:
    """The headers alone, for whoever sends the same ones again and again. Raises ValueError as :func:`encode` does."""
    return b"".join([_name(name) + _value(name, value) for name, value in headers.items()])


def frame(headers: bytes, payload: bytes) -> bytes:
    """A message of headers that are encoded already. Raises ValueError when either is too long."""
    if len(headers) > MOST_HEADERS or len(payload) > MOST_PAYLOAD:
        raise ValueError(f"a message holds {MOST_HEADERS} bytes of headers and {MOST_PAYLOAD} of payload at most")
    lengths = _LENGTHS.pack(len(headers) + len(payload) + _AROUND, len(headers))
    checksum = zlib.crc32(lengths)
    prelude = lengths + _CRC.pack(checksum)
    checksum = zlib.crc32(payload, zlib.crc32(headers, zlib.crc32(prelude)))
    return b"".join((prelude, headers, payload, _CRC.pack(checksum)))


def _name(name: str) -> bytes:
    encoded = name.encode()
    if not 0 < len(encoded) <= _LONGEST_NAME:
        raise ValueError(f"a header's name has 1 to {_LONGEST_NAME} bytes, {name[:40]!r} has {len(encoded)}")
    return bytes([len(encoded)]) + encoded


def _value(name: str, value: HeaderValue) -> bytes:
    if isinstance(value, str):
        return _sized(name, _TEXT, value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return bytes([_TRUE if value else _FALSE])
    if isinstance(value, int):
        kind = _INTEGER if -(1 << 31) <= value < 1 << 31 else _LONG
        return bytes([kind]) + _packed(name, value, _NUMBERS.get(kind, _LONG_NUMBER))
    if isinstance(value, bytes):
        return _sized(name, _BYTES, value)
    if isinstance(value, uuid.UUID):
        return bytes([_UUID]) + value.bytes
    return bytes([_TIMESTAMP]) + _packed(name, (value - _EPOCH) // _MILLISECOND, _LONG_NUMBER)


def _packed(name: str, value: int, form: struct.Struct) -> bytes:
    try:
        return form.pack(value)
    except struct.error as error:
        raise ValueError(f"the header {name} is {value}: {error}") from None


def _sized(name: str, kind: int, value: bytes) -> bytes:
    if len(value) > _LONGEST_VALUE:
        raise ValueError(f"the header {name} has {len(value)} bytes, {_LONGEST_VALUE} is the most")
    return bytes([kind]) + _LENGTH.pack(len(value)) + value


class EventDecoder:
    """Reads a stream as it arrives: :meth:`feed` what came, then :meth:`next` until there is no message.

    A message that would be longer than it may is refused by its first twelve bytes, so no more than one message of the
    greatest size is ever held besides what was fed. After an error every call raises it again.
    """

    def __init__(self, *, most_headers: int = MOST_HEADERS, most_payload: int = MOST_PAYLOAD):
        self._most_headers = most_headers
        self._most_payload = most_payload
        self._data = bytearray()
        #: Where the next message begins in what is held, and in the whole stream.
        self._start = 0
        self._position = 0
        self._error: BadEventStream | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes of the stream."""
        if self._error is not None:
            raise self._error
        if self._start:
            del self._data[: self._start]
            self._start = 0
        self._data += data

    def next(self) -> EventMessage | None:
        """The next whole message; None when more has to arrive. Raises BadEventStream."""
        if self._error is not None:
            raise self._error
        try:
            return self._next()
        except BadEventStream as error:
            self._error = BadEventStream(f"message at byte {self._position}: {error}")
            self._data.clear()
            raise self._error from None

    def end(self) -> None:
        """The stream has ended. Raises BadEventStream when it did so in the middle of a message."""
        if self._error is not None:
            raise self._error
        left = len(self._data) - self._start
        if left:
            raise BadEventStream(f"message at byte {self._position}: the stream ends after {left} bytes of it")

    def _next(self) -> EventMessage | None:
        data, start = self._data, self._start
        if len(data) - start < _PRELUDE:
            return None
        total, headers_length = _LENGTHS.unpack_from(data, start)
        (checksum,) = _CRC.unpack_from(data, start + _LENGTHS.size)
        if zlib.crc32(data[start : start + _LENGTHS.size]) != checksum:
            raise BadEventStream("the checksum of its lengths is wrong, so this is no event stream or a damaged one")
        if headers_length > self._most_headers:
            raise BadEventStream(f"its headers have {headers_length} bytes, {self._most_headers} is the most")
        payload_length = total - headers_length - _AROUND
        if payload_length < 0:
            raise BadEventStream(f"{total} bytes in all cannot hold {headers_length} bytes of headers")
        if payload_length > self._most_payload:
            raise BadEventStream(f"its payload has {payload_length} bytes, {self._most_payload} is the most")
        if len(data) - start < total:
            return None
        message = bytes(memoryview(data)[start : start + total])
        (checksum,) = _CRC.unpack_from(message, total - _CRC.size)
        if zlib.crc32(memoryview(message)[: -_CRC.size]) != checksum:
            raise BadEventStream("its checksum is wrong: it was damaged on its way")
        end = _PRELUDE + headers_length
        headers = decode_headers(message[_PRELUDE:end])
        self._start += total
        self._position += total
        return EventMessage(headers, message[end : -_CRC.size])


def decode_headers(data: bytes) -> dict[str, HeaderValue]:
    """The headers of a message. Raises BadEventStream."""
    headers: dict[str, HeaderValue] = {}
    position = 0
    while position < len(data):
        try:
            name, position = _read_name(data, position)
            value, position = _read_value(data, position)
        except (IndexError, struct.error):
            raise BadEventStream("its headers end in the middle of one") from None
        except UnicodeDecodeError:
            raise BadEventStream("a header is not UTF-8") from None
        if name in headers:
            raise BadEventStream(f"it has the header {name} twice")
        headers[name] = value
    return headers


def _read_name(data: bytes, position: int) -> tuple[str, int]:
    length = data[position]
    if not length:
        raise BadEventStream("a header has no name")
    raw, position = _read_bytes(data, position + 1, length)
    return raw.decode(), position


def _read_value(data: bytes, position: int) -> tuple[HeaderValue, int]:
    kind = data[position]
    position += 1
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, position
    if kind in (_BYTES, _TEXT):
        (length,) = _LENGTH.unpack_from(data, position)
        raw, position = _read_bytes(data, position + _LENGTH.size, length)
        return (raw.decode() if kind == _TEXT else raw), position
    if kind == _UUID:
        raw, position = _read_bytes(data, position, 16)
        return uuid.UUID(bytes=raw), position
    form = _LONG_NUMBER if kind in (_LONG, _TIMESTAMP) else _NUMBERS.get(kind)
    if form is None:
        raise BadEventStream(f"a header has a value of type {kind}, which there is not")
    (number,) = form.unpack_from(data, position)
    position += form.size
    return (_moment(number) if kind == _TIMESTAMP else int(number)), position


def _read_bytes(data: bytes, position: int, length: int) -> tuple[bytes, int]:
    end = position + length
    if end > len(data):
        raise IndexError
    return data[position:end], end


def _moment(milliseconds: int) -> datetime:
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        raise BadEventStream(f"a header's timestamp of {milliseconds} ms is beyond every calendar") from None
