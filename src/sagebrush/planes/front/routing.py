"""Which plane answers a request: the order of the protocol engine's dispatch, on the head alone.

Only signing name, target and path are looked at; which operation it is, and whether the signature holds, is the
plane's business.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from sagebrush.planes.front.heads import RequestHead

CONTROL: Final = "control"
OBJECTS: Final = "objects"

#: Pages of the planes for each other, on their own sockets; never passed on.
INTERNAL_PAGES: Final = b"/_sagebrush/internal"

_SCOPE_S3: Final = (b"s3", b"s3express", b"s3-object-lambda")
_CREDENTIAL: Final = re.compile(rb"(?:^|&)X-Amz-Credential=([^&]*)")
_SIGV2_QUERY: Final = re.compile(rb"(?:^|&)AWSAccessKeyId=")
_ACTION_QUERY: Final = re.compile(rb"(?:^|&)Action=[A-Z]")
#: REST paths of services that sign as ``sagemaker``, for callers without a signature. A bucket may bear such a name,
#: so the whole shape must fit.
_UNSIGNED_REST: Final = re.compile(
    rb"/endpoints/[^/]+/(?:invocations|async-invocations|invocations-response-stream|invocations-bidirectional-stream)$"
)


_SAGEMAKER: Final = b"/sagemaker/aws4_request,"
_REMEMBERED_LENGTH: Final = 256
_INVOCATIONS: Final = re.compile(rb"/endpoints/([^/]+)/invocations(-response-stream)?")


class Invoked(NamedTuple):
    """An endpoint's name, percent-decoded, and whether the answer is wanted as a stream of events."""

    name: str
    streams: bool


def invoked_endpoint(head: RequestHead) -> Invoked | None:
    """The endpoint that is invoked; None for any other request."""
    target = head.target
    if head.method != b"POST" or not target.startswith(b"/endpoints/"):
        return None
    invoked = _named(target) if len(target) < _REMEMBERED_LENGTH else _named.__wrapped__(target)
    if invoked is None or b"x-amz-target" in head.names:
        return None
    # The common case first, without taking the header apart.
    signed = _SAGEMAKER in head.names.get(b"authorization", b"")
    return invoked if signed or plane_of(head) == CONTROL else None


@lru_cache(maxsize=1024)
def _named(target: bytes) -> Invoked | None:
    found = _INVOCATIONS.fullmatch(target.partition(b"?")[0])
    if found is None:
        return None
    return Invoked(unquote(found[1].decode("latin-1"), errors="replace"), found[2] is not None)


def plane_of(head: RequestHead) -> str:
    """``control`` or ``objects``."""
    names = head.names
    if b"x-amz-target" in names or b"smithy-protocol" in names:
        return CONTROL
    path, _, query = head.target.partition(b"?")
    if path.startswith(b"/_sagebrush/"):
        return CONTROL
    authorization = names.get(b"authorization")
    if authorization:
        signed = _signed_for(authorization)
        if signed:
            return signed
    if query:
        credential = _CREDENTIAL.search(query)
        if credential:
            return _scope(credential[1].replace(b"%2F", b"/").replace(b"%2f", b"/"))
        if _SIGV2_QUERY.search(query):
            return OBJECTS
        if _ACTION_QUERY.search(query) and path == b"/":
            return CONTROL
    if head.method == b"POST" and names.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
        return CONTROL
    return CONTROL if _UNSIGNED_REST.match(path) else OBJECTS


def _signed_for(authorization: bytes) -> str:
    """The plane an Authorization header names, or '' when it is no AWS signature."""
    if authorization.startswith(b"AWS4-"):
        _, found, rest = authorization.partition(b"Credential=")
        return _scope(rest.partition(b",")[0].strip()) if found else ""
    return OBJECTS if authorization.startswith(b"AWS ") else ""


def _scope(credential: bytes) -> str:
    """``<key>/<date>/<region>/<service>/aws4_request`` -> the plane of the service."""
    parts = credential.split(b"/")
    return OBJECTS if len(parts) >= 2 and parts[-2] in _SCOPE_S3 else CONTROL
