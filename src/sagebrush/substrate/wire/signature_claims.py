"""Taking a Version 4 signature apart: what an Authorization header or a presigned query string claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sagebrush.substrate.wire.auth_errors import AuthErrors
from sagebrush.substrate.wire.http import HttpRequest
from sagebrush.substrate.wire.timestamps import from_rfc1123

ALGORITHM: Final = "AWS4-HMAC-SHA256"

#: The longest life of a presigned request: a week.
MAX_EXPIRES_SECONDS: Final = 7 * 24 * 3600

_DATE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True, slots=True)
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


def from_header(authorization: str, request: HttpRequest, errors: AuthErrors) -> Claim:
    """The signature in an Authorization header. Raises CallerError when it cannot be read."""
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise errors.unsupported()
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if not parts.get(name)]
    if missing:
        raise errors.malformed(" ".join(f"Authorization header requires '{name}' parameter." for name in missing))
    timestamp = _header_time(request, parts["SignedHeaders"], errors)
    token = request.headers.get("x-amz-security-token")
    return _claim(parts["Credential"], parts["SignedHeaders"], parts["Signature"], timestamp, token, None, errors)


def _header_time(request: HttpRequest, signed: str, errors: AuthErrors) -> str:
    text = request.headers.get("x-amz-date")
    if text is not None:
        return text
    date = request.headers.get("date")
    if date is None or "date" not in signed.split(";"):
        raise errors.malformed("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if _DATE.fullmatch(date):
        return date
    try:
        return from_rfc1123(date).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, TypeError, IndexError):
        raise errors.malformed("The 'Date' header is not a date.") from None


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
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":
        text = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        raise errors.malformed(text, in_query=expires is not None)
    if not _DATE.fullmatch(timestamp):
        text = "Date must be in ISO-8601 'basic format'. Got '" + timestamp + "'."
        raise errors.malformed(text, in_query=expires is not None)
    names = tuple(signed.split(";"))
    return Claim(parts[0], parts[1], parts[2], parts[3], names, signature, timestamp, token, expires)
