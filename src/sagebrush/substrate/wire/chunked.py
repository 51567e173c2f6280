"""The ``aws-chunked`` content encoding of S3: framing, chunk signatures, trailers.

    <hex size>[;chunk-signature=<hex>] CRLF <data> CRLF ... 0[;chunk-signature=<hex>] CRLF [<name>:<value> CRLF...] CRLF

Source: "Signature calculations for the authorization header: transferring payload in multiple chunks", Amazon S3 API
Reference.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import Enum, auto
from typing import Final

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.auth_errors import AuthErrors
from sagebrush.substrate.wire.sigv4 import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    Verified,
)

_EMPTY_HASH: Final = hashlib.sha256(b"").hexdigest()
_CHUNK_HEAD: Final = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_TRAILER_SIGNATURE: Final = "x-amz-trailer-signature"
#: Chunk heads and trailers are lines; longer ones are an attack or an error.
_LONGEST_LINE: Final = 8192
_MOST_TRAILERS: Final = 32


class _Expect(Enum):
    HEAD = auto()
    DATA = auto()
    END_OF_DATA = auto()
    TRAILER = auto()
    NOTHING = auto()


class ChunkDecoder:
    """Decodes one body piece by piece. ``trailers`` (lower-case names) is filled when the body is complete.

    Data is given out as it comes; its chunk's signature is checked at the chunk's end, so nothing may be kept for good
    before :meth:`close` returned. Comparing a trailing checksum with the data is the caller's business. All errors are
    CallerErrors with S3's codes.
    """

    def __init__(self, verified: Verified, *, decoded_length: int | None = None):
        self.trailers: dict[str, str] = {}
        self._signing = verified.chunks if verified.payload != STREAMING_UNSIGNED_TRAILER else None
        self._must_sign = verified.payload in (STREAMING_SIGNED, STREAMING_SIGNED_TRAILER)
        if self._must_sign and self._signing is None:
            raise ValueError("signed chunks cannot be read without their key")
        self._takes_trailers = verified.payload != STREAMING_SIGNED
        self._previous = self._signing.seed if self._signing is not None else ""
        self._access_key_id = verified.access_key_id
        self._decoded_length = decoded_length
        self._given_out = 0
        self._expect = _Expect.HEAD
        self._buffer = bytearray()
        self._left = 0
        self._signature = ""
        self._hash = hashlib.sha256()

    def feed(self, piece: bytes) -> bytes:
        """Take a piece as transferred, give the data it completes."""
        self._buffer += piece
        decoded: list[bytes] = []
        while self._step(decoded):
            pass
        data = b"".join(decoded)
        self._given_out += len(data)
        if self._decoded_length is not None and self._given_out > self._decoded_length:
            raise _incomplete()
        return data

    def close(self) -> None:
        """The transfer is over: everything announced must have come."""
        if self._expect is not _Expect.NOTHING or self._buffer:
            raise _incomplete()
        if self._decoded_length is not None and self._given_out != self._decoded_length:
            raise _incomplete()

    def _step(self, decoded: list[bytes]) -> bool:
        """One step forward; False when more bytes are needed."""
        if self._expect is _Expect.DATA:
            return self._take_data(decoded)
        if self._expect is _Expect.NOTHING:
            if self._buffer:
                raise _malformed()
            return False
        line = self._line()
        if line is None:
            return False
        if self._expect is _Expect.HEAD:
            self._begin_chunk(line)
        elif self._expect is _Expect.END_OF_DATA:
            self._end_chunk(line)
        else:
            self._take_trailer(line)
        return True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, _LONGEST_LINE)
        if end < 0:
            if len(self._buffer) >= _LONGEST_LINE:
                raise _malformed()
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _begin_chunk(self, line: bytes) -> None:
        head = _CHUNK_HEAD.fullmatch(line)
        if head is None or (self._must_sign and head[2] is None):
            raise _malformed()
        self._left = int(head[1], 16)
        self._signature = (head[2] or b"").decode()
        self._hash = hashlib.sha256()
        if self._left:
            self._expect = _Expect.DATA
        else:
            self._check_chunk()
            self._expect = _Expect.TRAILER

    def _take_data(self, decoded: list[bytes]) -> bool:
        if not self._buffer:
            return False
        piece = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(piece)
        if self._must_sign:
            self._hash.update(piece)
        decoded.append(piece)
        if not self._left:
            self._expect = _Expect.END_OF_DATA
        return True

    def _end_chunk(self, line: bytes) -> None:
        if line:
            raise _malformed()
        self._check_chunk()
        self._expect = _Expect.HEAD

    def _check_chunk(self) -> None:
        if self._must_sign:
            lines = f"{self._previous}\n{_EMPTY_HASH}\n{self._hash.hexdigest()}"
            self._check("AWS4-HMAC-SHA256-PAYLOAD", lines, self._signature)

    def _check(self, kind: str, lines: str, signature: str) -> None:
        signing = self._signing
        assert signing is not None
        to_sign = f"{kind}\n{signing.timestamp}\n{signing.scope}\n{lines}"
        expected = hmac.digest(signing.signing_key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise AuthErrors("s3").mismatch(self._access_key_id, signature, "", to_sign)
        self._previous = signature

    def _take_trailer(self, line: bytes) -> None:
        if line:
            raw_name, colon, value = line.decode("latin-1").partition(":")
            name = raw_name.strip().lower()
            if not colon or not self._takes_trailers or name in self.trailers or len(self.trailers) >= _MOST_TRAILERS:
                raise _malformed()
            self.trailers[name] = value.strip()
            return
        self._check_trailers()
        self._expect = _Expect.NOTHING

    def _check_trailers(self) -> None:
        signature = self.trailers.pop(_TRAILER_SIGNATURE, "")
        if self._must_sign and self._takes_trailers:
            text = "".join(f"{name}:{value}\n" for name, value in sorted(self.trailers.items()))
            lines = f"{self._previous}\n{hashlib.sha256(text.encode('latin-1')).hexdigest()}"
            self._check("AWS4-HMAC-SHA256-TRAILER", lines, signature)


def _malformed() -> CallerError:
    return CallerError("InvalidRequest", "The body is not in the aws-chunked encoding that its headers announce.")


def _incomplete() -> CallerError:
    return CallerError(
        "IncompleteBody",
        "The request body terminated unexpectedly: it has not the number of bytes that the headers announced.",
    )
