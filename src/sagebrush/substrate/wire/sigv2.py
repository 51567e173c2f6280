"""Signature Version 2 in the query string: what boto3 presigns S3 URLs with against custom endpoints.

Source: "Signing and authenticating REST requests (AWS signature version 2)", Amazon S3 API Reference.
"""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime
from typing import Final

from sagebrush.substrate.wire import addresses
from sagebrush.substrate.wire.auth_errors import AuthErrors
from sagebrush.substrate.wire.http import HttpRequest

_TOKEN: Final = "x-amz-security-token"

#: Query fields that select another resource or change the answer, and are therefore signed.
_SUBRESOURCES: Final = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "select",
        "select-type",
        "storageClass",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)


def session_token(request: HttpRequest, query: dict[str, str]) -> str | None:
    """The session token: presigning moves the header into the query."""
    return query.get(_TOKEN) or request.headers.get(_TOKEN)


def verify(
    request: HttpRequest,
    query: dict[str, str],
    secret: str,
    now: datetime,
    errors: AuthErrors,
    s3_hosts: tuple[str, ...],
) -> None:
    """Check a presigned request. Raises CallerError with S3's codes."""
    expires, signature = query.get("Expires", ""), query.get("Signature", "")
    if not signature or not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        text = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise errors.malformed(text, in_query=True)
    if now.timestamp() > int(expires):
        raise errors.request_expired(datetime.fromtimestamp(int(expires), UTC), now)
    to_sign = _string_to_sign(request, query, expires, s3_hosts)
    expected = base64.b64encode(hmac.digest(secret.encode(), to_sign.encode(), "sha1"))
    if not hmac.compare_digest(expected, signature.encode("utf-8", "replace")):
        raise errors.mismatch(query["AWSAccessKeyId"], signature, "", to_sign)


def _string_to_sign(request: HttpRequest, query: dict[str, str], expires: str, s3_hosts: tuple[str, ...]) -> str:
    headers = request.headers
    amazon = {name: value for name, value in query.items() if name.startswith("x-amz-")}
    amazon.update((name, value) for name, value in headers.items() if name.startswith("x-amz-"))
    lines = [
        request.method,
        headers.get("content-md5") or query.get("content-md5", ""),
        headers.get("content-type") or query.get("content-type", ""),
        expires,
        *(f"{name}:{amazon[name].strip()}" for name in sorted(amazon)),
    ]
    return "\n".join(lines) + "\n" + _resource(request, s3_hosts)


def _resource(request: HttpRequest, s3_hosts: tuple[str, ...]) -> str:
    """The path, with the bucket in front even when the Host header names it, and the signed query fields."""
    bucket = addresses.virtual_bucket(request.headers.get("host", ""), s3_hosts)
    path = request.raw_path if bucket is None else f"/{bucket}{request.raw_path}"
    signed = []
    for field in request.raw_query.split("&"):
        name, equals, value = field.partition("=")
        if name in _SUBRESOURCES:
            signed.append(f"{name}={addresses.decode(value.replace('+', ' '))}" if equals and value else name)
    return f"{path}?{'&'.join(sorted(signed))}" if signed else path
