"""Records of protobuf in RecordIO, written by hand: whatever a client could send."""

from __future__ import annotations

import struct
from collections.abc import Iterable

_MAGIC = 0xCED7230A
_VALUES, _KEYS, _SHAPE = 1, 2, 3
FLOAT32, FLOAT64, INT32 = 2, 3, 7


def framed(record: bytes) -> bytes:
    return struct.pack("<II", _MAGIC, len(record)) + record + bytes(-len(record) % 4)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def features(tensor: int, *parts: bytes) -> bytes:
    """A record whose features are this kind of tensor, with these fields."""
    return framed(field(1, field(1, b"values") + field(2, field(tensor, b"".join(parts)))))


def dense(values: Iterable[float], tensor: int = FLOAT32) -> bytes:
    values = list(values)
    if tensor == INT32:
        return features(tensor, field(_VALUES, b"".join(varint(int(v) & 0xFFFFFFFFFFFFFFFF) for v in values)))
    kind = "f" if tensor == FLOAT32 else "d"
    return features(tensor, field(_VALUES, struct.pack(f"<{len(values)}{kind}", *values)))


def sparse(values: Iterable[float], keys: Iterable[int], *shape: int) -> bytes:
    values = list(values)
    packed = struct.pack(f"<{len(values)}f", *values)
    numbers = [b"".join(map(varint, numbers)) for numbers in (keys, shape)]
    return features(FLOAT32, field(_VALUES, packed), field(_KEYS, numbers[0]), field(_SHAPE, numbers[1]))
