"""Taking a Version 4 signature apart: what an Authorization header or a presigned query string claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from sagebrush.substrate.wire.auth_errors import AuthErrors
from sagebrush.substrate.wire.timestamps import from_rfc1123

ALGORITHM: Final = "AWS4-HMAC-SHA256"

#: The longest life of a presigned request: a week.
MAX_EXPIRES_SECONDS: Final = 7 * 24 * 3600

#: Longer texts are read anew each time, so that what is remembered stays small.
_REMEMBERED_LENGTH: Final = 1024

_DATE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")


class Sent(Protocol):
    """What a signature covers of a request; :class:`~sagebrush.substrate.wire.http.HttpRequest` is one."""

    @property
    def method(self) -> str:
        """The method, in capitals."""

    @property
    def raw_path(self) -> str:
        """The path exactly as sent."""

    @property
    def raw_query(self) -> str:
        """The query string exactly as sent."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name; repeated ones joined with a comma."""

    @property
    def body(self) -> bytes:
        """The whole body, where it is at hand."""


@dataclass(slots=True)
class Claim:
    """A Version 4 signature taken apart; ``expires`` (seconds) is None in a header."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    session_token: str | None
    expires: int | None

    @property
    def scope(self) -> str:
        """Date, region and service, as they stand in the string to sign."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def from_header(authorization: str, request: Sent, errors: AuthErrors) -> Claim:
    """The signature in an Authorization header. Raises CallerError when it cannot be read."""
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise errors.unsupported()
    credential, signed, signature = _parts(rest)
    if not (credential and signed and signature):
        given = {"Credential": credential, "SignedHeaders": signed, "Signature": signature}
        missing = [name for name, value in given.items() if not value]
        raise errors.malformed(" ".join(f"Authorization header requires '{name}' parameter." for name in missing))
    timestamp = request.headers.get("x-amz-date") or _header_time(request, signed, errors)
    token = request.headers.get("x-amz-security-token")
    return _claim(credential, signed, signature, timestamp, token, None, errors)


def _parts(rest: str) -> tuple[str, str, str]:
    """Credential, SignedHeaders and Signature; '' for one that is missing.

    All but the signature is the same in a client's requests of one day, so it is remembered.
    """
    before, found, signature = rest.rpartition("Signature=")
    if found and len(before) < _REMEMBERED_LENGTH and "," not in signature and before.rstrip().endswith(","):
        return (*_before_signature(before), signature.rstrip())
    parts = _named(rest)
    return parts.get("Credential", ""), parts.get("SignedHeaders", ""), parts.get("Signature", "")


@lru_cache(maxsize=1024)
def _before_signature(before: str) -> tuple[str, str]:
    parts = _named(before)
    return parts.get("Credential", ""), parts.get("SignedHeaders", "")


def _named(text: str) -> dict[str, str]:
    return dict(part.strip().partition("=")[::2] for part in text.split(","))


def _header_time(request: Sent, signed: str, errors: AuthErrors) -> str:
    text = request.headers.get("x-amz-date")
    if text is not None:
        return text
    date = request.headers.get("date")
    if date is None or "date" not in signed.split(";"):
        raise errors.malformed("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if is_timestamp(date):
        return date
    try:
        return from_rfc1123(date).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, TypeError, IndexError):
        raise errors.malformed("The 'Date' header is not a date.") from None


def is_timestamp(text: str) -> bool:
    """Whether this has the form of a timestamp in ISO 8601's basic format."""
    return _DATE.fullmatch(text) is not None


def from_query(query: Mapping[str, str], errors: AuthErrors) -> Claim:
    """The signature of a presigned request. Raises CallerError when it cannot be read."""
    names = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires")
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise errors.malformed(f"X-Amz-Algorithm only supports {ALGORITHM}", in_query=True)
    missing = [name for name in names if not query.get(name)]
    if missing:
        text = f"Query-string authentication version 4 requires the {', '.join(names)} parameters"
        raise errors.malformed(text, in_query=True)
    expires = query["X-Amz-Expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        raise errors.malformed("X-Amz-Expires should be a number", in_query=True)
    if int(expires) > MAX_EXPIRES_SECONDS:
        text = (
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{MAX_EXPIRES_SECONDS} seconds"
        )
        raise errors.malformed(text, in_query=True)
    credential, signed, signature, timestamp = (query[name] for name in names[:4])
    token = query.get("X-Amz-Security-Token")
    return _claim(credential, signed, signature, timestamp, token, int(expires), errors)


def _claim(
    credential: str,
    signed: str,
    signature: str,
    timestamp: str,
    token: str | None,
    expires: int | None,
    errors: AuthErrors,
) -> Claim:
    # What is sent to us must not fill our memory.
    short = len(credential) + len(signed) < _REMEMBERED_LENGTH
    standing = _standing(credential, signed) if short else _standing.__wrapped__(credential, signed)
    if standing is None:
        text = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        raise errors.malformed(text, in_query=expires is not None)
    if not is_timestamp(timestamp):
        text = "Date must be in ISO-8601 'basic format'. Got '" + timestamp + "'."
        raise errors.malformed(text, in_query=expires is not None)
    return Claim(*standing, signature, timestamp, token, expires)


@lru_cache(maxsize=1024)
def _standing(credential: str, signed: str) -> tuple[str, str, str, str, tuple[str, ...]] | None:
    """Access key id, date, region, service and names of the signed headers; None for a credential that is none."""
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":
        return None
    return parts[0], parts[1], parts[2], parts[3], tuple(signed.split(";"))
