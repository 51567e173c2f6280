"""Verifying signatures: who sends a request, and that it is as it was sent.

Signature Version 4 in the Authorization header and presigned in the query, for every service, and for S3 also the
Version 2 query form that boto3 presigns with against custom endpoints. Everything that a signature must cover is
checked to be covered: host, every ``x-amz-*`` header, the date of the scope, the body's hash.

:func:`verify` does it all at once. Who has to wait for the secret takes the two halves: :func:`read` (what is claimed
and whether it can be at all), then :func:`check` (the signature itself).
Source: "AWS Signature Version 4 for API requests", IAM User Guide.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Protocol

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import addresses, canonical, sigv2
from sagebrush.substrate.wire.auth_errors import AuthErrors
from sagebrush.substrate.wire.http import HttpRequest
from sagebrush.substrate.wire.signature_claims import ALGORITHM, Claim, Sent, from_header, from_query, is_timestamp

__all__ = [
    "MAX_SKEW_SECONDS",
    "STREAMING_SIGNED",
    "STREAMING_SIGNED_TRAILER",
    "STREAMING_UNSIGNED_TRAILER",
    "UNSIGNED_PAYLOAD",
    "ChunkSigning",
    "HasSecret",
    "Lookup",
    "Verified",
    "check",
    "is_timestamp",
    "moment",
    "read",
    "signing_key",
    "verify",
]

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
STREAMING_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

#: How far a request's time may be from ours, either way.
MAX_SKEW_SECONDS: Final = 15 * 60

_STREAMING: Final = frozenset({STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER})
_SKEW: Final = timedelta(seconds=MAX_SKEW_SECONDS)
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class HasSecret(Protocol):
    """What a lookup gives: the secret to sign with and whose it is."""

    @property
    def secret_access_key(self) -> str:
        """The secret access key."""

    @property
    def principal(self) -> Any:
        """Whoever holds it."""


Lookup = Callable[[str, str | None], HasSecret]


@dataclass(frozen=True, slots=True)
class ChunkSigning:
    """What verifying the chunks of a streamed body needs: key, time, scope and the signature the chain starts from."""

    signing_key: bytes = field(repr=False)
    timestamp: str
    scope: str
    seed: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A request whose signature is right.

    ``payload`` says what the signature promises about the body: ``signed`` (``payload_sha256`` is its hash; whoever
    reads a streamed body must compare), ``unsigned``, or one of the ``STREAMING-`` forms, which
    :class:`~sagebrush.substrate.wire.chunked.ChunkDecoder` reads and checks.
    """

    principal: Any
    access_key_id: str
    payload: str
    payload_sha256: str | None = None
    chunks: ChunkSigning | None = None


def verify(
    request: HttpRequest,
    *,
    lookup: Lookup,
    now: datetime,
    payload_sha256: str | None = None,
    service: str | None = None,
    region: str | None = None,
    s3_hosts: tuple[str, ...] = addresses.S3_HOSTS,
) -> Verified:
    """Check a request's signature. Raises CallerError in the words of the service's family.

    ``service`` and ``region``, where given, are what the credential scope must name (global services, as IAM, are
    signed for us-east-1 wherever they are). The body's hash is taken from
    ``payload_sha256`` or computed from ``request.body``; a streamed S3 body (empty here) is compared by its reader.
    """
    query = {} if request.headers.get("authorization") else dict(addresses.parse_query(request.raw_query))
    errors = AuthErrors(_family(request, query, service))
    if _is_version_2(request, query, service):
        secret = _looked_up(lookup, query["AWSAccessKeyId"], sigv2.session_token(request, query), errors)
        sigv2.verify(request, query, secret.secret_access_key, now, errors, s3_hosts)
        return Verified(secret.principal, query["AWSAccessKeyId"], "unsigned")
    claim = _read(request, query, now, service, region, errors)
    secret = _looked_up(lookup, claim.access_key_id, claim.session_token, errors)
    digest, key = _check(request, claim, secret.secret_access_key, payload_sha256, errors)
    return _verified(claim, secret, digest, key)


def read(request: Sent, *, now: datetime, service: str, errors: AuthErrors) -> Claim:
    """What a request claims, as far as it can be judged without the secret: scope, time, and what is covered.

    Raises CallerError. :func:`check` must follow before anything is believed.
    """
    query = {} if request.headers.get("authorization") else dict(addresses.parse_query(request.raw_query))
    return _read(request, query, now, service, None, errors)


def check(request: Sent, claim: Claim, secret: str, *, payload_sha256: str | None = None, errors: AuthErrors) -> None:
    """Return when the signature is that of ``secret`` over this very request; else raise CallerError."""
    _check(request, claim, secret, payload_sha256, errors)


@lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that a day, region and service derive from a secret; remembered, because it costs four HMACs."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _is_version_2(request: Sent, query: dict[str, str], service: str | None) -> bool:
    if "authorization" in request.headers or "X-Amz-Algorithm" in query or "X-Amz-Credential" in query:
        return False
    return "AWSAccessKeyId" in query and service in (None, "s3")


def _read(
    request: Sent, query: dict[str, str], now: datetime, service: str | None, region: str | None, errors: AuthErrors
) -> Claim:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        claim = from_header(authorization, request, errors)
    elif "X-Amz-Algorithm" in query or "X-Amz-Credential" in query:
        claim = from_query(query, errors)
    else:
        raise errors.missing()
    _check_scope(claim, service, region, errors)
    _check_time(claim, now, errors)
    _check_coverage(claim, request.headers, errors)
    return claim


def _family(request: Sent, query: dict[str, str], service: str | None) -> str:
    if "x-amz-target" in request.headers or "smithy-protocol" in request.headers:
        return "json"
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/x-www-form-urlencoded") or "Action" in query:
        return "query"
    named = service or _scope_service(request.headers.get("authorization") or query.get("X-Amz-Credential", ""))
    return "s3" if named in (None, "s3") else "rest-json"


def _scope_service(text: str) -> str | None:
    parts = text.partition("Credential=")[2] or text
    scope = parts.partition(",")[0].split("/")
    return scope[-2] if len(scope) >= 5 else None


def _check_scope(claim: Claim, service: str | None, region: str | None, errors: AuthErrors) -> None:
    in_query = claim.expires is not None
    if claim.date != claim.timestamp[:8]:
        s3_text = (
            f'Invalid credential date "{claim.date}". This date is not the same as X-Amz-Date: "{claim.timestamp[:8]}".'
        )
        text = (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'."
        )
        raise errors.wrong_scope(s3_text, text, {}, in_query)
    if service is not None and claim.service != service:
        s3_text = f'incorrect service "{claim.service}". This endpoint belongs to "{service}".'
        text = f"Credential should be scoped to correct service: '{service}'. "
        raise errors.wrong_scope(s3_text, text, {}, in_query)
    if region is not None and claim.region != region:
        s3_text = f"the region '{claim.region}' is wrong; expecting '{region}'"
        raise errors.wrong_scope(
            s3_text, "Credential should be scoped to a valid region. ", {"Region": region}, in_query
        )


def _check_time(claim: Claim, now: datetime, errors: AuthErrors) -> None:
    try:
        at = moment(claim.timestamp)
    except ValueError:
        raise errors.malformed(f"'{claim.timestamp}' is not a date.", in_query=claim.expires is not None) from None
    if at - now > _SKEW or (claim.expires is None and now - at > _SKEW):
        raise errors.skewed(at, now, MAX_SKEW_SECONDS)
    if claim.expires is not None and (now - at).total_seconds() > claim.expires:
        raise errors.request_expired(at + timedelta(seconds=claim.expires), now)


@lru_cache(maxsize=1024)
def moment(text: str) -> datetime:
    """The moment of a timestamp in ISO 8601's basic format. Raises ValueError."""
    day, time = int(text[:8]), int(text[9:15])
    clock = (time // 10000, time // 100 % 100, time % 100)
    return datetime(day // 10000, day // 100 % 100, day % 100, *clock, tzinfo=UTC)


def _check_coverage(claim: Claim, headers: Any, errors: AuthErrors) -> None:
    """Host and every x-amz-* header must be signed, and whatever is signed must be there."""
    signed = claim.signed_headers
    bare = [name for name in headers if name[:6] == "x-amz-" and name not in signed]
    if "host" not in signed:
        bare.insert(0, "host")
    if bare:
        raise errors.not_signed(bare)
    if not all(map(headers.__contains__, signed)) or list(signed) != sorted(set(signed)):
        text = "The SignedHeaders must be lower-case, sorted, and present in the request."
        raise errors.malformed(text, in_query=claim.expires is not None)


def _looked_up(lookup: Lookup, access_key_id: str, token: str | None, errors: AuthErrors) -> HasSecret:
    try:
        return lookup(access_key_id, token)
    except CallerError as error:
        raise errors.of_lookup(error, access_key_id) from None


def _check(
    request: Sent, claim: Claim, secret: str, payload_sha256: str | None, errors: AuthErrors
) -> tuple[str, bytes]:
    """What stands for the body, and the signing key. Raises CallerError for another signature."""
    is_s3 = claim.service == "s3"
    digest = _payload_digest(request, claim, payload_sha256, is_s3, errors)
    canonical_request = canonical.request(
        request.method,
        canonical.path(request.raw_path, is_s3=is_s3),
        canonical.query(request.raw_query, without="" if claim.expires is None else "X-Amz-Signature"),
        canonical.headers(request.headers, claim.signed_headers),
        ";".join(claim.signed_headers),
        digest,
    )
    # Headers and path are bytes that were read as Latin-1.
    hashed = hashlib.sha256(canonical_request.encode("latin-1", "replace")).hexdigest()
    to_sign = f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope}\n{hashed}"
    key = signing_key(secret, claim.date, claim.region, claim.service)
    expected = hmac.digest(key, to_sign.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), claim.signature.encode("utf-8", "replace")):
        raise errors.mismatch(claim.access_key_id, claim.signature, canonical_request, to_sign)
    return digest, key


def _verified(claim: Claim, secret: HasSecret, digest: str, key: bytes) -> Verified:
    if digest == UNSIGNED_PAYLOAD:
        return Verified(secret.principal, claim.access_key_id, "unsigned")
    if digest in _STREAMING:
        chunks = ChunkSigning(key, claim.timestamp, claim.scope, claim.signature)
        return Verified(secret.principal, claim.access_key_id, digest, chunks=chunks)
    return Verified(secret.principal, claim.access_key_id, "signed", payload_sha256=digest)


def _payload_digest(request: Sent, claim: Claim, payload_sha256: str | None, is_s3: bool, errors: AuthErrors) -> str:
    """What stands for the body in the canonical request, compared with the body where that is at hand."""
    claimed = request.headers.get("x-amz-content-sha256")
    if is_s3:
        if claimed is None and claim.expires is not None:
            return UNSIGNED_PAYLOAD
        if claimed is None:
            raise _missing_hash()
        if claimed == UNSIGNED_PAYLOAD or claimed in _STREAMING:
            return claimed
        if not _HASH.fullmatch(claimed):
            raise _bad_hash()
        computed = payload_sha256 or (hashlib.sha256(request.body).hexdigest() if request.body else claimed)
    else:
        computed = payload_sha256 or hashlib.sha256(request.body).hexdigest()
    if claimed is not None and claimed != computed:
        raise errors.wrong_hash(claimed, computed)
    return computed


def _missing_hash() -> CallerError:
    """S3 wants the hash, or the word that there is none, in a header of its own."""
    return CallerError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")


def _bad_hash() -> CallerError:
    """The header holds neither a hash nor one of the known words."""
    return CallerError(
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
    )
