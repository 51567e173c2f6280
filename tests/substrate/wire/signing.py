"""Requests signed by botocore's own signers, as a server receives them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import quote, urlsplit

from botocore.auth import (
    HmacV1QueryAuth,
    S3SigV4Auth,
    S3SigV4QueryAuth,
    SigV4Auth,
    SigV4QueryAuth,
)
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import sigv4
from sagebrush.substrate.wire.http import HttpRequest

ACCESS_KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "a/session+token=="
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REGION = "us-east-1"
ODD_KEYS = [
    "a b/ü+&=?#.txt",
    "x//y/../z",
    "~a%20b",
    "/leading",
    "trailing/",
    "+",
    "%2F",
    "äöü/漢字",
    "a'b(c)*!.txt",
    ".",
]


@dataclass(frozen=True)
class Holder:
    """What the tests' lookup finds."""

    secret_access_key: str
    principal: str


def lookup(access_key_id: str, session_token: str | None) -> Holder:
    """One key without and with a session."""
    if access_key_id != ACCESS_KEY:
        raise CallerError("InvalidClientTokenId", "no such key", status=403)
    if session_token == "old":
        raise CallerError("ExpiredTokenException", "too late", status=403)
    if session_token not in (None, TOKEN):
        raise CallerError("InvalidToken", "not ours", status=403)
    return Holder(SECRET, f"principal of {session_token}")


def _signed(signer: Any, method: str, url: str, headers: dict[str, str], body: bytes) -> HttpRequest:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    # botocore's signers read the clock through these two names; the file under test takes the time as an argument.
    with (
        mock.patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)),
        mock.patch("botocore.auth.time.time", return_value=NOW.timestamp()),
    ):
        signer.add_auth(request)
    parts = urlsplit(request.url)
    received = {name.lower(): str(value) for name, value in request.headers.items()}
    received.setdefault("host", parts.netloc)
    return HttpRequest(method, parts.path, parts.query, received, body)


def credentials(token: str | None = None) -> Credentials:
    """The tests' key."""
    return Credentials(ACCESS_KEY, SECRET, token)


def s3_url(key: str, query: str = "", host: str = "127.0.0.1:4600", bucket: str = "/bucket") -> str:
    """A URL as botocore's serializer encodes it."""
    return f"http://{host}{bucket}/{quote(key, safe='/~')}" + (f"?{query}" if query else "")


def by_header(
    url: str,
    *,
    service: str = "s3",
    method: str = "PUT",
    body: bytes = b"",
    token: str | None = None,
    region: str = REGION,
    headers: dict[str, str] | None = None,
) -> HttpRequest:
    """Signed in the Authorization header."""
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials(token), service, region)
    return _signed(signer, method, url, headers or {}, body)


def claiming_hash(claim: str) -> HttpRequest:
    """A PUT to S3 with that x-amz-content-sha256. S3SigV4Auth always claims the true hash; its base does not."""
    headers = {"X-Amz-Content-SHA256": claim}
    return _signed(SigV4Auth(credentials(), "s3", REGION), "PUT", s3_url("k"), headers, b"")


def presigned(
    url: str,
    *,
    service: str = "s3",
    method: str = "GET",
    token: str | None = None,
    expires: int = 3600,
    headers: dict[str, str] | None = None,
) -> HttpRequest:
    """Signed in the query string, Version 4."""
    signer = (S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth)(
        credentials(token), service, REGION, expires=expires
    )
    return _signed(signer, method, url, headers or {}, b"")


def presigned_v2(
    url: str, *, method: str = "GET", token: str | None = None, expires: int = 3600, auth_path: str | None = None
) -> HttpRequest:
    """Signed in the query string, Version 2, as boto3 does by default against custom endpoints."""
    request = AWSRequest(method=method, url=url, headers={"x-amz-security-token": token} if token else {})
    request.auth_path = auth_path
    signer = HmacV1QueryAuth(credentials(token), expires=expires)
    with mock.patch("botocore.auth.time.time", return_value=NOW.timestamp()):
        signer.add_auth(request)
    parts = urlsplit(request.url)
    return HttpRequest(method, parts.path, parts.query, {"host": parts.netloc})


def verify(request: HttpRequest, *, now: datetime = NOW, **options: Any) -> sigv4.Verified:
    """Verify at the time of signing."""
    return sigv4.verify(request, lookup=lookup, now=now, **options)


def changed(request: HttpRequest, **headers: str | None) -> HttpRequest:
    """The request with headers added, replaced or (None) taken away; underscores stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    merged = {**request.headers, **named}
    return replace(request, headers={name: value for name, value in merged.items() if value is not None})
