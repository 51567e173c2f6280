"""Operations on objects, but for their payload on the way in (see :mod:`sagebrush.aws.s3.receiving`)."""

from __future__ import annotations

import os
from urllib.parse import unquote_plus

from sagebrush.aws.s3 import attributes, xml
from sagebrush.aws.s3.caller import bucket_arn, object_arn
from sagebrush.aws.s3.conditions import (
    NotModified,
    check_copy_source,
    check_read,
    select_part,
    select_range,
)
from sagebrush.aws.s3.formats import http_date, iso_date
from sagebrush.aws.s3.numbers import whole_number
from sagebrush.aws.s3.operations.buckets import read_tagging, tagging_document, xml_response
from sagebrush.aws.s3.request import FileSlice, Request, Response
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import Attributes, ObjectInfo, ObjectStore, WriteCondition
from sagebrush.substrate.objects.errors import invalid_argument, invalid_request
from sagebrush.substrate.objects.names import encode_key

MAX_COPY_BYTES = 5 << 30


def find(objects: ObjectStore, request: Request) -> tuple[ObjectInfo, bytes | None]:
    """The addressed object for a reader. Without ``s3:ListBucket`` a missing key is AccessDenied, as in AWS."""
    check_version(request.query.get("versionId"))
    try:
        return objects.get(request.bucket, request.key)
    except CallerError as error:
        if error.code == "NoSuchKey" and not request.caller.may("s3:ListBucket", bucket_arn(request.bucket)):
            raise CallerError("AccessDenied", "Access Denied", status=403) from None
        raise


def check_version(version: str | None) -> None:
    """Buckets have no versions: only ``null`` exists. Raises CallerError NoSuchVersion."""
    if version not in (None, "null"):
        raise CallerError(
            "NoSuchVersion", "The specified version does not exist.", status=404, members={"VersionId": version}
        )


def get_object(objects: ObjectStore, request: Request) -> Response:
    """GetObject and HeadObject: the plane leaves the body away for HEAD."""
    request.caller.require("s3:GetObject", object_arn(request.bucket, request.key))
    while True:
        info, content = find(objects, request)
        try:
            return _read(objects, request, info, content)
        except FileNotFoundError:
            # Replaced between index and file; unless it still is the object, look again.
            if objects.head(info.bucket, info.key).file == info.file:
                raise


def _read(objects: ObjectStore, request: Request, info: ObjectInfo, content: bytes | None) -> Response:
    try:
        check_read(request.headers, info)
    except NotModified:
        return Response(304, {"etag": f'"{info.etag}"', "last-modified": http_date(info.modified_us)})
    headers = attributes.describe(info)
    status, offset, length = 200, 0, info.size
    part, range_header = request.query.get("partNumber"), request.header("range")
    if part is not None and range_header:
        raise invalid_request("Cannot specify both Range header and partNumber query parameter")
    selected = None
    if part is not None:
        selected = select_part(_part_number(part), info)
        if info.parts:
            headers["x-amz-mp-parts-count"] = str(len(info.parts))
    elif range_header:
        selected = select_range(range_header, info.size)
    if selected is not None:
        offset, length = selected
        status = 206
        headers["content-range"] = f"bytes {offset}-{offset + length - 1}/{info.size}"
    elif request.header("x-amz-checksum-mode").upper() == "ENABLED":
        headers.update(attributes.checksum_headers(info))
    for name, header in attributes.OVERRIDES.items():
        if value := request.query.get(name):
            if not value.isprintable():
                raise invalid_argument("Header value cannot be represented.", name, ascii(value))
            headers[header] = value
    if request.target.operation == "HeadObject":
        return Response(status, headers, length=length)
    if content is not None:
        return Response(status, headers, content[offset : offset + length])
    descriptor = os.open(objects.path(info), os.O_RDONLY | os.O_CLOEXEC)
    return Response(status, headers, FileSlice(descriptor, offset, length))


def _part_number(text: str) -> int:
    number = whole_number(text)
    if number is None or not 1 <= number <= 10_000:
        raise invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", text)
    return number


def delete_object(objects: ObjectStore, request: Request) -> Response:
    """DeleteObject: deleting what is not there succeeds."""
    request.caller.require("s3:DeleteObject", object_arn(request.bucket, request.key))
    check_version(request.query.get("versionId"))
    objects.delete(request.bucket, request.key, if_match=request.header("if-match"))
    return Response(204)


def delete_objects(objects: ObjectStore, request: Request) -> Response:
    """DeleteObjects: up to 1000 keys, each allowed or denied by itself."""
    objects.head_bucket(request.bucket)
    document = xml.parse(request.body, "Delete")
    wanted = list(document.all("Object"))
    if not 1 <= len(wanted) <= 1000:
        raise xml.malformed()
    quiet = document.get("Quiet") == "true"
    allowed: list[str] = []
    lines: list[str] = []
    for node in wanted:
        key = node.need("Key")
        try:
            request.caller.require("s3:DeleteObject", object_arn(request.bucket, key))
            check_version(node.get("VersionId"))
            encode_key(key)
        except CallerError as error:
            lines.append(
                xml.parent(
                    "Error",
                    xml.element("Key", key),
                    xml.element("Code", error.code),
                    xml.element("Message", error.message),
                )
            )
        else:
            allowed.append(key)
    objects.delete_many(request.bucket, allowed)
    if not quiet:
        lines = [xml.parent("Deleted", xml.element("Key", key)) for key in allowed] + lines
    return xml_response(xml.document("DeleteResult", *lines))


def copy_object(objects: ObjectStore, request: Request) -> Response:
    """CopyObject: no data moves."""
    source = find_source(objects, request)
    request.caller.require("s3:PutObject", object_arn(request.bucket, request.key))
    check_copy_source(request.headers, source)
    if source.size > MAX_COPY_BYTES:
        raise invalid_request(
            f"The specified copy source is larger than the maximum allowable size for a copy source: {MAX_COPY_BYTES}"
        )
    replaced = _directive(request, "x-amz-metadata-directive") == "REPLACE"
    given = attributes.from_headers(request.headers)
    chosen = given if replaced else source.attributes
    tags = given.tags if _directive(request, "x-amz-tagging-directive") == "REPLACE" else source.attributes.tags
    if not replaced:
        extra = {name: value for name, value in given.headers.items() if name.startswith("x-amz-")}
        if (source.bucket, source.key) == (request.bucket, request.key) and not extra:
            raise invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes."
            )
        chosen = Attributes(chosen.content_type, {**chosen.headers, **extra}, chosen.metadata)
    chosen = Attributes(chosen.content_type, chosen.headers, chosen.metadata, tags)
    condition = WriteCondition(request.header("if-none-match"), request.header("if-match"))
    info = objects.copy(source, request.bucket, request.key, attributes=chosen, condition=condition)
    return xml_response(
        xml.document(
            "CopyObjectResult",
            xml.element("LastModified", iso_date(info.modified_us)),
            xml.element("ETag", f'"{info.etag}"'),
            *checksum_elements(info),
        ),
        attributes.echo(info.attributes),
    )


def checksum_elements(info: ObjectInfo) -> list[str]:
    """The object's checksums as elements."""
    if not info.checksums.values:
        return []
    elements = [xml.element(f"Checksum{name}", value) for name, value in info.checksums.values.items()]
    return [*elements, xml.element("ChecksumType", info.checksums.kind)]


def _directive(request: Request, name: str) -> str:
    value = request.header(name) or "COPY"
    if value not in ("COPY", "REPLACE"):
        raise invalid_argument("Unknown directive.", name, value)
    return value


def find_source(objects: ObjectStore, request: Request) -> ObjectInfo:
    """The object that x-amz-copy-source names; reading it needs permission of its own."""
    path, _, query = request.header("x-amz-copy-source").partition("?")
    bucket, _, key = unquote_plus(path.replace("+", "%2B")).removeprefix("/").partition("/")
    if not bucket or not key:
        raise invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            "x-amz-copy-source",
            path,
        )
    check_version(query.removeprefix("versionId=") if query else None)
    request.caller.require("s3:GetObject", object_arn(bucket, key))
    owner = request.header("x-amz-source-expected-bucket-owner")
    if owner and objects.head_bucket(bucket).account != owner:
        raise CallerError("AccessDenied", "Access Denied", status=403)
    return objects.head(bucket, key)


def get_object_tagging(objects: ObjectStore, request: Request) -> Response:
    """GetObjectTagging."""
    request.caller.require("s3:GetObjectTagging", object_arn(request.bucket, request.key))
    info, _ = find(objects, request)
    return xml_response(tagging_document(info.attributes.tags))


def put_object_tagging(objects: ObjectStore, request: Request) -> Response:
    """PutObjectTagging."""
    request.caller.require("s3:PutObjectTagging", object_arn(request.bucket, request.key))
    check_version(request.query.get("versionId"))
    objects.tag(request.bucket, request.key, read_tagging(request.body, limit=10))
    return Response(200)


def delete_object_tagging(objects: ObjectStore, request: Request) -> Response:
    """DeleteObjectTagging."""
    request.caller.require("s3:DeleteObjectTagging", object_arn(request.bucket, request.key))
    check_version(request.query.get("versionId"))
    objects.tag(request.bucket, request.key, {})
    return Response(204)


def get_object_attributes(objects: ObjectStore, request: Request) -> Response:
    """GetObjectAttributes: those that were asked for."""
    arn = object_arn(request.bucket, request.key)
    request.caller.require("s3:GetObject", arn)
    request.caller.require("s3:GetObjectAttributes", arn)
    info, _ = find(objects, request)
    asked = {name.strip() for name in request.header("x-amz-object-attributes").split(",")}
    answers = {
        "ETag": xml.element("ETag", info.etag),
        "Checksum": xml.parent("Checksum", *checksum_elements(info)),
        "ObjectParts": xml.parent("ObjectParts", xml.element("PartsCount", len(info.parts))) if info.parts else "",
        "StorageClass": xml.element("StorageClass", info.attributes.headers.get("x-amz-storage-class", "STANDARD")),
        "ObjectSize": xml.element("ObjectSize", info.size),
    }
    if not asked or not asked <= answers.keys():
        raise invalid_argument(
            "Invalid attribute name specified.", "x-amz-object-attributes", request.header("x-amz-object-attributes")
        )
    return xml_response(
        xml.document("GetObjectAttributesResponse", *(text for name, text in answers.items() if name in asked)),
        {"last-modified": http_date(info.modified_us)},
    )
