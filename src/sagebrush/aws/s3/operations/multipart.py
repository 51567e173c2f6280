"""Multipart uploads, but for the parts' payload (see :mod:`sagebrush.aws.s3.receiving`)."""

from __future__ import annotations

import os

from sagebrush.aws.s3 import attributes, xml
from sagebrush.aws.s3.caller import bucket_arn, object_arn
from sagebrush.aws.s3.conditions import check_copy_source, copy_range
from sagebrush.aws.s3.formats import canonical_id, iso_date
from sagebrush.aws.s3.numbers import whole_number
from sagebrush.aws.s3.operations.buckets import bounded_number, xml_response
from sagebrush.aws.s3.operations.listings import encoder
from sagebrush.aws.s3.operations.objects import checksum_elements, find_source
from sagebrush.aws.s3.request import Request, Response
from sagebrush.substrate.objects import Checksums as StoredChecksums
from sagebrush.substrate.objects import CompletedPart, ObjectStore, UploadInfo, WriteCondition
from sagebrush.substrate.objects.checksums import ALGORITHMS, COMPOSITE, FULL_OBJECT, allows, default_type
from sagebrush.substrate.objects.errors import entity_too_large, invalid_argument, invalid_request

MAX_PART_BYTES = 5 << 30
_CHUNK = 1 << 20


def create_multipart_upload(objects: ObjectStore, request: Request) -> Response:
    """CreateMultipartUpload."""
    request.caller.require("s3:PutObject", object_arn(request.bucket, request.key))
    chosen = attributes.from_headers(request.headers)
    algorithm, kind = _checksum_choice(request)
    info = objects.uploads.create(
        request.bucket, request.key, attributes=chosen, algorithm=algorithm, checksum_type=kind
    )
    headers = attributes.echo(chosen)
    if algorithm:
        headers |= {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": info.checksum_type}
    return xml_response(
        xml.document(
            "InitiateMultipartUploadResult",
            xml.element("Bucket", info.bucket),
            xml.element("Key", info.key),
            xml.element("UploadId", info.upload_id),
        ),
        headers,
    )


def _checksum_choice(request: Request) -> tuple[str, str]:
    algorithm = request.header("x-amz-checksum-algorithm").upper()
    kind = request.header("x-amz-checksum-type").upper()
    if algorithm and algorithm not in ALGORITHMS:
        raise invalid_request("Checksum algorithm provided is unsupported.")
    if not algorithm:
        if kind:
            raise invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return "", ""
    kind = kind or default_type(algorithm)
    if kind not in (COMPOSITE, FULL_OBJECT) or not allows(algorithm, kind):
        raise invalid_request(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return algorithm, kind


def upload_part_copy(objects: ObjectStore, request: Request) -> Response:
    """UploadPartCopy."""
    source = find_source(objects, request)
    request.caller.require("s3:PutObject", object_arn(request.bucket, request.key))
    check_copy_source(request.headers, source)
    range_header = request.header("x-amz-copy-source-range")
    offset, length = copy_range(range_header, source.size) if range_header else (0, source.size)
    if length > MAX_PART_BYTES:
        raise entity_too_large(length, MAX_PART_BYTES)
    upload = objects.uploads.find(request.bucket, request.key, request.query["uploadId"])
    part = objects.uploads.incoming(upload, part_number(request), size=length)
    try:
        descriptor = os.open(objects.path(source), os.O_RDONLY | os.O_CLOEXEC)
        try:
            while length > 0:
                piece = os.pread(descriptor, min(length, _CHUNK), offset)
                part.write(piece)
                offset += len(piece)
                length -= len(piece)
        finally:
            os.close(descriptor)
        received = part.finish()
    except BaseException:
        part.discard()
        raise
    info = part.commit(received)
    return xml_response(
        xml.document(
            "CopyPartResult",
            xml.element("LastModified", iso_date(info.modified_us)),
            xml.element("ETag", f'"{info.etag}"'),
            *(xml.element(f"Checksum{name}", value) for name, value in info.checksums.items() if upload.algorithm),
        )
    )


def part_number(request: Request) -> int:
    """The part's number. Raises CallerError InvalidArgument."""
    text = request.query.get("partNumber", "")
    number = whole_number(text)
    if number is None:
        raise invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", text)
    return number


def complete_multipart_upload(objects: ObjectStore, request: Request) -> Response:
    """CompleteMultipartUpload: exactly the parts that the client lists."""
    request.caller.require("s3:PutObject", object_arn(request.bucket, request.key))
    document = xml.parse(request.body, "CompleteMultipartUpload")
    listed = [_completed_part(node) for node in document.all("Part")]
    if not listed:
        raise xml.malformed()
    kind = request.header("x-amz-checksum-type").upper()
    upload_id = request.query["uploadId"]
    expected = {
        name: request.headers[f"x-amz-checksum-{name.lower()}"]
        for name in ALGORITHMS
        if f"x-amz-checksum-{name.lower()}" in request.headers
    }
    info = objects.uploads.complete(
        request.bucket,
        request.key,
        upload_id,
        listed,
        condition=WriteCondition(request.header("if-none-match"), request.header("if-match")),
        expected=StoredChecksums(expected, kind or FULL_OBJECT),
        size=_object_size(request.headers.get("x-amz-mp-object-size")),
    )
    location = f"http://{request.header('host')}/{request.bucket}/{encoder({'encoding-type': 'url'})(request.key)}"
    return xml_response(
        xml.document(
            "CompleteMultipartUploadResult",
            xml.element("Location", location),
            xml.element("Bucket", info.bucket),
            xml.element("Key", info.key),
            xml.element("ETag", f'"{info.etag}"'),
            *checksum_elements(info),
        ),
        attributes.echo(info.attributes),
    )


def _object_size(text: str | None) -> int | None:
    if text is None:
        return None
    size = whole_number(text)
    if size is None:
        raise invalid_argument("The object size must be a number.", "x-amz-mp-object-size", text)
    return size


def _completed_part(node: xml.Node) -> CompletedPart:
    number = whole_number(node.need("PartNumber"))
    if number is None:
        raise xml.malformed()
    found = {name: node.get(f"Checksum{name}") for name in ALGORITHMS}
    return CompletedPart(number, node.need("ETag"), {name: value for name, value in found.items() if value is not None})


def abort_multipart_upload(objects: ObjectStore, request: Request) -> Response:
    """AbortMultipartUpload."""
    request.caller.require("s3:AbortMultipartUpload", object_arn(request.bucket, request.key))
    objects.uploads.abort(request.bucket, request.key, request.query["uploadId"])
    return Response(204)


def list_parts(objects: ObjectStore, request: Request) -> Response:
    """ListParts."""
    request.caller.require("s3:ListMultipartUploadParts", object_arn(request.bucket, request.key))
    query = request.query
    limit = bounded_number(query.get("max-parts") or "1000", "max-parts", 1000)
    marker = bounded_number(query.get("part-number-marker") or "0", "part-number-marker", 1 << 31)
    upload, found = objects.uploads.parts_of(
        request.bucket, request.key, query["uploadId"], after=marker, limit=limit + 1
    )
    page = found[:limit]
    return xml_response(
        xml.document(
            "ListPartsResult",
            xml.element("Bucket", request.bucket),
            xml.element("Key", request.key),
            xml.element("UploadId", upload.upload_id),
            *_people(request),
            xml.element("StorageClass", "STANDARD"),
            xml.element("PartNumberMarker", marker),
            xml.element("NextPartNumberMarker", page[-1].number if page else 0),
            xml.element("MaxParts", limit),
            xml.element("IsTruncated", len(found) > limit),
            *_checksum_facts(upload),
            *(
                xml.parent(
                    "Part",
                    xml.element("PartNumber", part.number),
                    xml.element("LastModified", iso_date(part.modified_us)),
                    xml.element("ETag", f'"{part.etag}"'),
                    xml.element("Size", part.size),
                    *(xml.element(f"Checksum{name}", value) for name, value in part.checksums.items()),
                )
                for part in page
            ),
        )
    )


def list_multipart_uploads(objects: ObjectStore, request: Request) -> Response:
    """ListMultipartUploads (keys under a delimiter are not grouped)."""
    request.caller.require("s3:ListBucketMultipartUploads", bucket_arn(request.bucket))
    query = request.query
    encode = encoder(query)
    limit = bounded_number(query.get("max-uploads") or "1000", "max-uploads", 1000)
    key_marker, id_marker = query.get("key-marker", ""), query.get("upload-id-marker", "")
    prefix = query.get("prefix", "")
    found = objects.uploads.in_progress(
        request.bucket, prefix, after_key=key_marker, after_id=id_marker, limit=limit + 1
    )
    page, more = found[:limit], len(found) > limit
    return xml_response(
        xml.document(
            "ListMultipartUploadsResult",
            xml.element("Bucket", request.bucket),
            f"<KeyMarker>{xml.escape(encode(key_marker))}</KeyMarker>",
            f"<UploadIdMarker>{xml.escape(id_marker)}</UploadIdMarker>",
            xml.element("NextKeyMarker", encode(page[-1].key) if more else None),
            xml.element("NextUploadIdMarker", page[-1].upload_id if more else None),
            xml.element("Prefix", encode(prefix) if prefix else None),
            xml.element("EncodingType", query.get("encoding-type") or None),
            xml.element("MaxUploads", limit),
            xml.element("IsTruncated", more),
            *(
                xml.parent(
                    "Upload",
                    xml.element("UploadId", upload.upload_id),
                    xml.element("Key", encode(upload.key)),
                    xml.element("Initiated", iso_date(upload.created_us)),
                    xml.element("StorageClass", "STANDARD"),
                    *_people(request),
                    *_checksum_facts(upload),
                )
                for upload in page
            ),
        )
    )


def _people(request: Request) -> tuple[str, str]:
    person = xml.element("ID", canonical_id(request.caller.account))
    return xml.parent("Initiator", person), xml.parent("Owner", person)


def _checksum_facts(upload: UploadInfo) -> list[str]:
    if not upload.algorithm:
        return []
    return [xml.element("ChecksumAlgorithm", upload.algorithm), xml.element("ChecksumType", upload.checksum_type)]
