"""Payloads on their way in: PutObject and UploadPart, a chunk at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sagebrush.aws.s3 import attributes
from sagebrush.aws.s3.caller import object_arn
from sagebrush.aws.s3.integrity import Claims, verify
from sagebrush.aws.s3.operations.multipart import MAX_PART_BYTES, part_number
from sagebrush.aws.s3.request import Request, Response
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import ObjectStore, WriteCondition
from sagebrush.substrate.objects.checksums import DEFAULT
from sagebrush.substrate.objects.errors import entity_too_large, incomplete_body, invalid_argument
from sagebrush.substrate.objects.names import encode_key

MAX_PUT_BYTES = 5 << 30


class Receiving(Protocol):
    """A payload being taken in. One thread at a time; ends with ``finish`` or ``discard``."""

    def write(self, data: bytes) -> None:
        """Take payload, already out of its transfer framing."""

    def finish(self, trailers: Mapping[str, str]) -> Response:
        """Check what arrived against the claims, make it durable and visible, and answer."""

    def discard(self) -> None:
        """Forget everything; after ``finish`` has raised there is nothing left to do."""


class _Putting:
    """PutObject."""

    def __init__(self, objects: ObjectStore, request: Request, claims: Claims):
        self._objects = objects
        self._request = request
        self._claims = claims
        arn = object_arn(request.bucket, request.key)
        request.caller.require("s3:PutObject", arn)
        if request.header("x-amz-tagging"):
            request.caller.require("s3:PutObjectTagging", arn)
        _check_length(claims, MAX_PUT_BYTES)
        encode_key(request.key)
        self._condition = _condition(request)
        self._attributes = attributes.from_headers(request.headers)
        self._incoming = objects.incoming(claims.needed)

    def write(self, data: bytes) -> None:
        _check_growth(self._claims, self._incoming.size + len(data))
        self._incoming.write(data)

    def finish(self, trailers: Mapping[str, str]) -> Response:
        try:
            verify(self._claims, self._incoming.size, self._incoming.digests(), trailers)
            received = self._incoming.finish()
        except BaseException:
            self._incoming.discard()
            raise
        info = self._objects.commit(
            self._request.bucket,
            self._request.key,
            received,
            attributes=self._attributes,
            algorithm=self._claims.algorithm or DEFAULT,
            condition=self._condition,
        )
        headers = {"etag": f'"{info.etag}"'} | attributes.checksum_headers(info)
        return Response(200, headers | attributes.echo(self._attributes))

    def discard(self) -> None:
        self._incoming.discard()


class _UploadingPart:
    """UploadPart."""

    def __init__(self, objects: ObjectStore, request: Request, claims: Claims):
        self._claims = claims
        request.caller.require("s3:PutObject", object_arn(request.bucket, request.key))
        _check_length(claims, MAX_PART_BYTES)
        upload = objects.uploads.find(request.bucket, request.key, request.query["uploadId"])
        if claims.algorithm and upload.algorithm and claims.algorithm != upload.algorithm:
            raise CallerError(
                "InvalidRequest",
                f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, actual checksum "
                f"Type: {claims.algorithm.lower()}",
            )
        self._algorithm = upload.algorithm or claims.algorithm
        self._part = objects.uploads.incoming(
            upload, part_number(request), algorithms=claims.needed, size=claims.length
        )

    def write(self, data: bytes) -> None:
        _check_growth(self._claims, self._part.size + len(data))
        self._part.write(data)

    def finish(self, trailers: Mapping[str, str]) -> Response:
        try:
            digests = self._part.digests()
            verify(self._claims, self._part.size, digests, trailers)
            received = self._part.finish()
        except BaseException:
            self._part.discard()
            raise
        info = self._part.commit(received)
        headers = {"etag": f'"{info.etag}"'}
        if self._algorithm:
            headers |= attributes.digest_header(self._algorithm, digests[self._algorithm])
        return Response(200, headers)

    def discard(self) -> None:
        self._part.discard()


def receive(objects: ObjectStore, request: Request, claims: Claims) -> Receiving:
    """Begin to take the payload of a PutObject or UploadPart request, after all that can be refused before it comes."""
    if request.target.operation == "UploadPart":
        return _UploadingPart(objects, request, claims)
    return _Putting(objects, request, claims)


def _check_length(claims: Claims, maximum: int) -> None:
    if claims.length is None:
        raise CallerError("MissingContentLength", "You must provide the Content-Length HTTP header.", status=411)
    if claims.length > maximum:
        raise entity_too_large(claims.length, maximum)


def _check_growth(claims: Claims, size: int) -> None:
    if claims.length is not None and size > claims.length:
        raise incomplete_body()


def _condition(request: Request) -> WriteCondition:
    if_none_match = request.header("if-none-match")
    if if_none_match and if_none_match != "*":
        raise CallerError(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
            status=501,
            members={
                "Header": "If-None-Match",
                "additionalMessage": "We don't accept the provided value of If-None-Match header for this API",
            },
        )
    if if_none_match and request.header("if-match"):
        raise invalid_argument("If-Match and If-None-Match cannot be used together.", "If-Match", "")
    return WriteCondition(if_none_match, request.header("if-match"))
