"""Checksums of object data, as S3 names them.

Values travel as base64 of the big-endian digest. S3 keeps one *flexible checksum* per object: of the whole object
(``FULL_OBJECT``) or, for multipart uploads, of the parts' checksums (``COMPOSITE``, with ``-<parts>`` at its end).
Source: "Checking object integrity in Amazon S3", Amazon S3 User Guide.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from awscrt import checksums as crt
from isal import isal_zlib

FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"

#: What S3 computes when the client names no algorithm.
DEFAULT = "CRC64NVME"


class Digest(Protocol):
    """What hashlib's objects are, as far as they are used here."""

    def update(self, data: bytes, /) -> None:
        """Take in more data."""

    def digest(self) -> bytes:
        """The digest of everything taken in."""


class _Crc:
    def __init__(self, function: Callable[[bytes, int], int], width: int):
        self._function = function
        self._width = width
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


class _XxHash:
    def __init__(self, state: crt.XXHash):
        self._state = state

    def update(self, data: bytes, /) -> None:
        self._state.update(data)

    def digest(self) -> bytes:
        digest: bytes = self._state.finalize()
        return digest


_NEW: dict[str, Callable[[], Digest]] = {
    "CRC32": lambda: _Crc(isal_zlib.crc32, 4),
    "CRC32C": lambda: _Crc(crt.crc32c, 4),
    "CRC64NVME": lambda: _Crc(crt.crc64nvme, 8),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "XXHASH64": lambda: _XxHash(crt.XXHash.new_xxhash64()),
    "XXHASH3": lambda: _XxHash(crt.XXHash.new_xxhash3_64()),
    "XXHASH128": lambda: _XxHash(crt.XXHash.new_xxhash3_128()),
}

#: S3's names of the algorithms.
ALGORITHMS = tuple(_NEW)

_COMBINE: dict[str, tuple[Callable[[int, int, int], int], int]] = {
    "CRC32": (crt.combine_crc32, 4),
    "CRC32C": (crt.combine_crc32c, 4),
    "CRC64NVME": (crt.combine_crc64nvme, 8),
}


class Hashes:
    """Several digests over one stream; the MD5 is always among them because S3's ETag is made of it."""

    def __init__(self, algorithms: Iterable[str] = ()):
        self._digests: dict[str, Digest] = {name: _NEW[name]() for name in {"MD5", *algorithms}}

    def update(self, data: bytes) -> None:
        """Take in more data."""
        for digest in self._digests.values():
            digest.update(data)

    def finish(self) -> dict[str, bytes]:
        """The digests by algorithm. To be called once."""
        return {name: digest.digest() for name, digest in self._digests.items()}


def encode(digest: bytes) -> str:
    """A digest in S3's form."""
    return base64.b64encode(digest).decode()


def well_formed(algorithm: str, value: str) -> bool:
    """Whether ``value`` can be a checksum of that algorithm at all."""
    try:
        return len(base64.b64decode(value, validate=True)) == len(_NEW[algorithm]().digest())
    except ValueError:
        return False


def default_type(algorithm: str) -> str:
    """The checksum type of a multipart upload that names only its algorithm."""
    return FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE


def allows(algorithm: str, kind: str) -> bool:
    """Whether S3 offers this checksum type for multipart uploads with this algorithm."""
    return algorithm in _COMBINE if kind == FULL_OBJECT else algorithm != "CRC64NVME"


def composite(algorithm: str, values: Sequence[str]) -> str:
    """The checksum of checksums of a multipart object."""
    digest = _NEW[algorithm]()
    digest.update(b"".join(base64.b64decode(value) for value in values))
    return f"{encode(digest.digest())}-{len(values)}"


def combined(algorithm: str, parts: Sequence[tuple[str, int]]) -> str:
    """The checksum of a whole object from its parts' (checksum, size) without reading the data again."""
    combine, width = _COMBINE[algorithm]
    total = 0
    for index, (value, size) in enumerate(parts):
        part = int.from_bytes(base64.b64decode(value), "big")
        total = part if index == 0 else combine(total, part, size)
    return encode(total.to_bytes(width, "big"))
