"""The everyday signature, verified with less work: in the Authorization header, nothing in the query, plain ASCII.

What a client signs again and again differs in little: the part before the signature is taken apart once a day, and the
canonical request is put together from bytes as they came. The rules are those of :mod:`sigv4`, which has the last word:
this module says yes, or that it does not know; what it says yes to, :mod:`sigv4` accepts.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import canonical, sigv4
from sagebrush.substrate.wire.auth_errors import AuthErrors
from sagebrush.substrate.wire.http import HttpRequest
from sagebrush.substrate.wire.signature_claims import ALGORITHM, from_header

_LONGEST: Final = 1024
_ALGORITHM: Final = ALGORITHM.encode()
_DATE: Final = b"x-amz-date"
#: Stands in for a request's own date while the rest of its claim is read.
_SOME_DATE: Final = HttpRequest("POST", "/", "", {"x-amz-date": "20000101T000000Z"})

#: A key before the inner and before the outer hash of HMAC.
Pads = tuple[bytes, bytes]


@dataclass(slots=True)
class Everyday:
    """What a client claims all day, read from its Authorization header up to the signature.

    ``amazon`` is how many of the signed headers are ``x-amz-*``; ``scope`` and ``signed`` are as they are signed.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    names: tuple[bytes, ...]
    amazon: int
    scope: bytes
    signed: bytes


def read(headers: Mapping[bytes, bytes], service: str) -> Everyday | None:
    """What a request claims; None when it is not an everyday one. ``headers`` by lower-case name, each once."""
    authorization = headers.get(b"authorization", b"")
    if len(authorization) > _LONGEST or b"x-amz-content-sha256" in headers:
        return None
    return _read(authorization[:-64], service)


def matches(
    claim: Everyday, method: bytes, path: bytes, headers: Mapping[bytes, bytes], digest: str, secret: str, now: datetime
) -> bool:
    """Whether the signature is that of ``secret`` over this request, whose body has the SHA-256 ``digest``."""
    timestamp = headers.get(_DATE, b"")
    # As many as are signed, and each that is signed is there: so none is bare.
    if b"\n".join((b"", *headers)).count(b"\nx-amz-") != claim.amazon:
        return False
    try:
        lines = b"".join([b"%b:%b\n" % (name, b" ".join(headers[name].split())) for name in claim.names])
    except KeyError:
        return False
    request = b"%b\n%b\n\n%b\n%b\n%b" % (method, canonical_path(path), lines, claim.signed, digest.encode())
    if not request.isascii() or not is_current(claim, timestamp, now):
        return False
    return signs(pads(claim, secret), claim, timestamp, request, headers[b"authorization"][-64:])


def is_current(claim: Everyday, timestamp: bytes, now: datetime) -> bool:
    """Whether a request of this X-Amz-Date is neither too old nor too early."""
    at = _second(timestamp, claim.date) if len(timestamp) == 16 else None
    return at is not None and abs((now - at).total_seconds()) <= sigv4.MAX_SKEW_SECONDS


def pads(claim: Everyday, secret: str) -> Pads:
    """The key that ``secret`` signs such claims with, as HMAC (RFC 2104) puts it before its inner and outer hash."""
    return _pads(sigv4.signing_key(secret, claim.date, claim.region, claim.service))


def signs(pads: Pads, claim: Everyday, timestamp: bytes, request: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is that of the key over a canonical ``request`` in ASCII, made at ``timestamp``."""
    hashed = hashlib.sha256(request).hexdigest().encode()
    inner, outer = pads
    to_sign = b"%b%b\n%b\n%b\n%b" % (inner, _ALGORITHM, timestamp, claim.scope, hashed)
    expected = hashlib.sha256(outer + hashlib.sha256(to_sign).digest()).hexdigest()
    return hmac.compare_digest(expected.encode(), signature)


@lru_cache(maxsize=1024)
def _pads(key: bytes) -> Pads:
    block = key.ljust(64, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


@lru_cache(maxsize=1024)
def _read(before: bytes, service: str) -> Everyday | None:
    """From the Authorization header without its last 64 bytes, which must be the signature."""
    text = before.decode("latin-1")
    if not before.isascii() or not text.endswith("Signature="):
        return None
    try:
        claim = from_header(text + "0" * 64, _SOME_DATE, AuthErrors("rest-json"))
    except CallerError:
        return None
    names = claim.signed_headers
    if claim.signature != "0" * 64 or claim.service != service or service == "s3" or "host" not in names:
        return None
    if list(names) != sorted(set(names)) or _DATE.decode() not in names:
        return None
    return Everyday(
        claim.access_key_id,
        claim.date,
        claim.region,
        claim.service,
        tuple(name.encode() for name in names),
        sum(name.startswith("x-amz-") for name in names),
        claim.scope.encode(),
        ";".join(names).encode(),
    )


@lru_cache(maxsize=1024)
def _second(timestamp: bytes, date: str) -> datetime | None:
    """The moment that X-Amz-Date names, if its day is that of the scope."""
    text = timestamp.decode("latin-1")
    if len(timestamp) != 16 or not sigv4.is_timestamp(text) or text[:8] != date:
        return None
    try:
        return sigv4.moment(text)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _remembered_path(path: bytes) -> bytes:
    return canonical.path(path.decode("latin-1"), is_s3=False).encode("latin-1", "replace")


def canonical_path(path: bytes) -> bytes:
    """The path of a request target as it is signed."""
    return _remembered_path(path) if len(path) < _LONGEST else _remembered_path.__wrapped__(path)
