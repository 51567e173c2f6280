"""Where a message's body ends, found without touching its bytes.

A body tracker is fed what arrives and says how many of these bytes belong to the body; the bytes themselves pass on
as they came.
"""

from __future__ import annotations

from typing import Protocol

#: A chunk-size line longer than this is an attack, not an extension.
_MAX_LINE = 8 * 1024
#: Trailers (checksums) are a few hundred bytes.
_MAX_TRAILERS = 64 * 1024
#: A request may begin with as many chunks of any size; then they must hold so much on average. Who sends a byte at a
#: time, each in a chunk of its own, would keep everybody else waiting for what it costs to read that.
_FREE_CHUNKS = 4096
_LEAST_AVERAGE = 64
_HEX = b"0123456789abcdefABCDEF"
#: Sixteen digits and the line's end.
_LONGEST_PLAIN_SIZE = 18


class BadBody(Exception):
    """The body's framing is broken."""


class Body(Protocol):
    """Follows one body."""

    done: bool

    def take(self, data: bytes) -> int:
        """How many leading bytes of ``data`` belong to the body; sets ``done`` at its end. Raises BadBody."""


class LengthBody:
    """A body of a known number of bytes."""

    __slots__ = ("done", "remaining")

    def __init__(self, length: int):
        self.remaining = length
        self.done = length == 0

    def take(self, data: bytes) -> int:
        used = min(len(data), self.remaining)
        self.remaining -= used
        self.done = self.remaining == 0
        return used


class EndlessBody:
    """A body that ends when the connection does."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def take(self, data: bytes) -> int:
        return len(data)


class ChunkedBody:
    """A chunked body: chunk sizes, data, trailers. Lines must end in CRLF, as llhttp demands too.

    With ``decode`` the payload is also collected in :attr:`decoded`; who takes it clears it. What stands after the last
    chunk is in :attr:`trailers`, a line each. ``frugal``: a body that is
    mostly framing is refused.
    """

    __slots__ = (
        "_bytes",
        "_chunks",
        "_decode",
        "_frugal",
        "_left",
        "_line",
        "_state",
        "_trailers_size",
        "decoded",
        "done",
        "trailers",
    )

    def __init__(self, *, decode: bool = False, frugal: bool = False) -> None:
        self.done = False
        self.decoded = bytearray()
        self.trailers: list[bytes] = []
        self._decode = decode
        self._frugal = frugal
        self._chunks = 0
        self._bytes = 0
        self._state = "size"
        self._line = b""
        self._left = 0
        self._trailers_size = 0

    def take(self, data: bytes) -> int:
        position = 0
        while position < len(data) and not self.done:
            if self._state == "data":
                position = self._take_data(data, position)
                continue
            if self._state == "size" and not self._line:
                position = self._take_whole_chunks(data, position)
            position = self._take_line(data, position)
        return position

    def _take_whole_chunks(self, data: bytes, position: int) -> int:
        """Plain chunks that lie in ``data`` from beginning to end, done with less; where the first other one begins."""
        while True:
            line_end = data.find(b"\r\n", position, position + _LONGEST_PLAIN_SIZE)
            digits = data[position : max(position, line_end)]
            if not digits or digits.strip(_HEX):
                return position
            begin = line_end + 2
            end = begin + int(digits, 16)
            if end == begin or data[end : end + 2] != b"\r\n":
                return position
            self._count(end - begin)
            if self._decode:
                self.decoded += data[begin:end]
            position = end + 2

    def _count(self, size: int) -> None:
        self._chunks += 1
        self._bytes += size
        if self._frugal and self._chunks > _FREE_CHUNKS and self._bytes < _LEAST_AVERAGE * self._chunks:
            raise BadBody(f"it has more than {_FREE_CHUNKS} chunks of less than {_LEAST_AVERAGE} bytes on average")

    def _take_data(self, data: bytes, position: int) -> int:
        end = min(len(data), position + self._left)
        if self._decode:
            self.decoded += data[position:end]
        self._left -= end - position
        if self._left == 0:
            self._state = "data-end"
        return end

    def _take_line(self, data: bytes, position: int) -> int:
        newline = data.find(b"\n", position)
        end = len(data) if newline < 0 else newline + 1
        self._line += data[position:end]
        if len(self._line) > _MAX_LINE:
            raise BadBody("a line of the chunked body is too long")
        if newline >= 0:
            line, self._line = self._line, b""
            if not line.endswith(b"\r\n"):
                raise BadBody("a line of the chunked body does not end in CRLF")
            self._line_complete(line[:-2])
        return end

    def _line_complete(self, line: bytes) -> None:
        if self._state == "size":
            digits = line.partition(b";")[0].strip(b" \t")
            if not digits or len(digits) > 16 or digits.strip(_HEX):
                raise BadBody("a chunk's size is not a hexadecimal number")
            self._left = int(digits, 16)
            self._state = "data" if self._left else "trailer"
            if self._left:
                self._count(self._left)
        elif self._state == "data-end":
            if line:
                raise BadBody("a chunk is longer than its size says")
            self._state = "size"
        else:
            self._trailers_size += len(line)
            if self._trailers_size > _MAX_TRAILERS:
                raise BadBody("the trailers are too long")
            if line:
                self.trailers.append(line)
            self.done = not line
