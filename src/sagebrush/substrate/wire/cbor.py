"""The part of CBOR (RFC 8949) that smithy-rpc-v2-cbor uses: no tags but epoch time, maps with text keys."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any, Final

from sagebrush.substrate.wire import timestamps
from sagebrush.substrate.wire.json_body import serialization_error

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE: Final = 31
_BREAK: Final = 0xFF
_EPOCH_TAG: Final = 1
_CONSTANTS: Final = {20: False, 21: True, 22: None, 23: None}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_DEEPEST: Final = 200


def load(body: bytes) -> Any:
    """The value of a body; an empty body counts as an empty map. Raises CallerError ``SerializationException``."""
    if not body:
        return {}
    reader = _Reader(body)
    try:
        value = reader.item(0)
    except (IndexError, ValueError, struct.error, OverflowError, TypeError):
        raise serialization_error("The request body is not valid CBOR") from None
    if reader.position != len(body):
        raise serialization_error("The request body is not valid CBOR")
    return value


class _Reader:
    def __init__(self, body: bytes):
        self._body = body
        self.position = 0

    def item(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        major, info = self._head()
        if major in (_UNSIGNED, _NEGATIVE):
            number = self._number(info)
            return number if major == _UNSIGNED else -1 - number
        if major == _BYTES:
            return self._string(major, info)
        if major == _TEXT:
            return self._string(major, info).decode("utf-8")
        if major == _ARRAY:
            return [self.item(depth + 1) for _ in self._counted(info)]
        if major == _MAP:
            return self._map(info, depth)
        if major == _TAG:
            return self._tagged(info, depth)
        return self._simple(info)

    def _head(self) -> tuple[int, int]:
        byte = self._body[self.position]
        self.position += 1
        return byte >> 5, byte & 31

    def _take(self, count: int) -> bytes:
        piece = self._body[self.position : self.position + count]
        if len(piece) != count:
            raise ValueError("the body ends too early")
        self.position += count
        return piece

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise ValueError("not a number")
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _at_break(self) -> bool:
        if self._body[self.position] != _BREAK:
            return False
        self.position += 1
        return True

    def _counted(self, info: int) -> Any:
        """Yields once per element; a count larger than what is left of the body ends with an error, not a loop."""
        if info == _INDEFINITE:
            while not self._at_break():
                yield
            return
        for _ in range(self._number(info)):
            yield

    def _string(self, major: int, info: int) -> bytes:
        if info != _INDEFINITE:
            return self._take(self._number(info))
        pieces = []
        while not self._at_break():
            inner, inner_info = self._head()
            if inner != major or inner_info == _INDEFINITE:
                raise ValueError("a piece of another kind")
            pieces.append(self._take(self._number(inner_info)))
        return b"".join(pieces)

    def _map(self, info: int, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for _ in self._counted(info):
            key = self.item(depth + 1)
            if type(key) is not str:
                raise ValueError("a key that is no text")
            if key in result:
                raise ValueError("a key that is there twice")
            result[key] = self.item(depth + 1)
        return result

    def _tagged(self, info: int, depth: int) -> datetime:
        tag = self._number(info)
        value = self.item(depth + 1)
        if tag != _EPOCH_TAG or type(value) not in (int, float):
            raise ValueError("only epoch time is tagged")
        return timestamps.from_epoch(float(value) if type(value) is float else int(value))

    def _simple(self, info: int) -> Any:
        if info in _CONSTANTS:
            return _CONSTANTS[info]
        layout = _FLOATS.get(info)
        if layout is None:
            raise ValueError("an unknown simple value")
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]


def dump(value: Any) -> bytes:
    """The value in definite-length CBOR. Datetimes are tagged epoch seconds."""
    pieces = bytearray()
    _write(value, pieces)
    return bytes(pieces)


def _write(value: Any, pieces: bytearray) -> None:
    if value is None or isinstance(value, bool):
        pieces.append({None: 0xF6, True: 0xF5, False: 0xF4}[value])
    elif isinstance(value, int):
        _write_head(_UNSIGNED if value >= 0 else _NEGATIVE, value if value >= 0 else -1 - value, pieces)
    elif isinstance(value, float):
        pieces += b"\xfb" + struct.pack(">d", value)
    elif isinstance(value, str):
        encoded = value.encode("utf-8", "replace")
        _write_head(_TEXT, len(encoded), pieces)
        pieces += encoded
    elif isinstance(value, bytes):
        _write_head(_BYTES, len(value), pieces)
        pieces += value
    elif isinstance(value, datetime):
        _write_head(_TAG, _EPOCH_TAG, pieces)
        _write(timestamps.to_epoch(value), pieces)
    elif isinstance(value, dict):
        _write_head(_MAP, len(value), pieces)
        for key, item in value.items():
            _write(key, pieces)
            _write(item, pieces)
    else:
        _write_head(_ARRAY, len(value), pieces)
        for item in value:
            _write(item, pieces)


def _write_head(major: int, number: int, pieces: bytearray) -> None:
    if number < 24:
        pieces.append(major << 5 | number)
        return
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            pieces.append(major << 5 | info)
            pieces += number.to_bytes(size, "big")
            return
    raise OverflowError(f"{number} does not fit 64 bits")
