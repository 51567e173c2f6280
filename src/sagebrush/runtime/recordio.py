"""Records of protobuf in RecordIO, ``application/x-recordio-protobuf``: rows of features, dense or sparse.

Framing: a magic number, a length, the record, zeros up to a multiple of four bytes. A record is SageMaker's message
``aialgs.data.Record``: ``features`` (1) and ``label`` (2), maps from names to tensors of 32- or 64-bit floats or 32-bit
integers, each with ``values`` (1), and ``keys`` (2) and ``shape`` (3) where it is sparse.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MAGIC = 0xCED7230A
_HEAD = struct.Struct("<II")
_FEATURES, _LABEL = 1, 2
_VALUES, _KEYS, _SHAPE = 1, 2, 3
_NAME = b"values"
#: Field of a Value -> how its numbers lie there, None for varints.
_TENSORS = {2: "<f4", 3: "<f8", 7: None}
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_64_BITS = 2**64 - 1
#: XGBoost and scipy number features in 32 bits.
MOST_FEATURES = 2**31 - 1


class NotRecords(ValueError):
    """What was given are not such records; the text says why."""


def matrix(data: bytes) -> Any:
    """The features of all records as 32-bit floats: an array, or a sparse matrix if any of them is sparse.

    Labels are not looked at. Raises NotRecords.
    """
    import numpy as np

    rows = []
    try:
        for number, record in enumerate(_records(data), start=1):
            rows.append(_features(record, number))
    except NotRecords:
        raise
    except (IndexError, struct.error):
        raise NotRecords(f"record {len(rows) + 1} ends too early") from None
    except (TypeError, ValueError):  # A field of another type than the message has.
        raise NotRecords(f"record {len(rows) + 1} is not of the message aialgs.data.Record") from None
    if not rows:
        raise NotRecords("there is no record")
    if any(keys is not None for _, keys, _ in rows):
        return _sparse(rows)
    widths = {len(values) for values, _, _ in rows}
    if len(widths) > 1:
        raise NotRecords(f"records have different numbers of features ({', '.join(map(str, sorted(widths)))})")
    return np.stack([values for values, _, _ in rows])


def labels(rows: Sequence[Mapping[str, Sequence[float]]]) -> bytes:
    """Records with these names and numbers as their labels, in 32 bits."""
    return b"".join(map(_framed, (_labelled(row) for row in rows)))


def _labelled(row: Mapping[str, Sequence[float]]) -> bytes:
    record = b""
    for name, values in row.items():
        tensor = _field(_VALUES, struct.pack(f"<{len(values)}f", *values))
        record += _field(_LABEL, _field(1, name.encode()) + _field(2, _field(2, tensor)))
    return record


def _framed(record: bytes) -> bytes:
    return _HEAD.pack(_MAGIC, len(record)) + record + bytes(-len(record) % 4)


def _field(number: int, content: bytes) -> bytes:
    length, head = len(content), bytearray([number << 3 | _BYTES])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def _sparse(rows: list[tuple[Any, Any, int]]) -> Any:
    import numpy as np
    from scipy.sparse import csr_matrix

    columns = [np.arange(len(values), dtype=np.uint64) if keys is None else keys for values, keys, _ in rows]
    starts = np.cumsum([0, *map(len, columns)])
    all_ = np.concatenate(columns)
    width = max(int(all_.max(initial=0)) + 1, *(width for _, _, width in rows))
    if width > MOST_FEATURES:
        raise NotRecords(f"a feature number is beyond {MOST_FEATURES}")
    values = np.concatenate([values for values, _, _ in rows])
    return csr_matrix((values, all_, starts), shape=(len(rows), width))


def _records(data: bytes) -> Iterator[memoryview]:
    view, at = memoryview(data), 0
    while at < len(view):
        magic, length = _HEAD.unpack_from(view, at)
        if magic != _MAGIC:
            raise NotRecords(f"byte {at} does not begin a record")
        at += _HEAD.size
        if at + length > len(view):
            raise IndexError
        yield view[at : at + length]
        at += length + -length % 4


def _features(record: memoryview, number: int) -> tuple[Any, Any, int]:
    """(values, keys or None where they are dense, width or 0) of the tensor ``values``."""
    for field, _, entry in _fields(record):
        if field == _FEATURES:
            parts = {inner: content for inner, _, content in _fields(entry)}
            if parts.get(1) == _NAME:
                for tensor, _, content in _fields(parts.get(2, memoryview(b""))):
                    if tensor in _TENSORS:
                        return _tensor(content, _TENSORS[tensor], number)
    raise NotRecords(f"record {number} has no tensor of features named 'values'")


def _tensor(content: memoryview, kind: str | None, number: int) -> tuple[Any, Any, int]:
    import numpy as np

    pieces: dict[int, list[Any]] = {_VALUES: [], _KEYS: [], _SHAPE: []}
    for field, wire, data in _fields(content):
        if field in pieces:
            pieces[field].append(_numbers(data, wire, kind if field == _VALUES else None))
    values, keys, shape = (np.concatenate(p) if p else None for p in pieces.values())
    if kind is None and values is not None:
        values = values.astype(np.int32)
    values = np.empty(0, np.float32) if values is None else values.astype(np.float32)
    width = int(shape[-1]) if shape is not None else 0
    if keys is None and shape is not None and width != len(values):
        keys = np.empty(0, np.uint64)
    if keys is not None and len(keys) != len(values):
        raise NotRecords(f"record {number} has {len(keys)} keys for {len(values)} values")
    return values, keys, width


def _numbers(data: Any, wire: int, kind: str | None) -> Any:
    """The numbers of one field, packed or a single one. Raises TypeError where they cannot lie."""
    import numpy as np

    if kind is not None:
        return np.frombuffer(data, kind)
    if wire == _VARINT:
        return np.array([data], np.uint64)
    if wire == _BYTES:
        return _varints(data)
    raise TypeError


def _varints(data: memoryview) -> Any:
    import numpy as np

    raw = np.frombuffer(data, np.uint8)
    if not (raw & 0x80).any():
        return raw.astype(np.uint64)
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return np.array(found, np.uint64)


def _fields(message: memoryview) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, content) of each field of a message; the content of a varint is its value."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_EIGHT, _FOUR):
            length = 8 if wire == _EIGHT else 4
        else:
            raise NotRecords(f"a record is not of protobuf (wire type {wire})")
        if at + length > len(message):
            raise IndexError
        yield tag >> 3, wire, message[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """(value, where it ends). Of ten bytes at most: one without end would take time by the square of its length."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _64_BITS, at
    raise NotRecords(f"a record is not of protobuf (a number of more than ten bytes ends at byte {at} of its message)")
