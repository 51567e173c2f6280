"""Listings of objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

from sagebrush.aws.s3 import xml
from sagebrush.aws.s3.caller import bucket_arn
from sagebrush.aws.s3.formats import canonical_id, iso_date
from sagebrush.aws.s3.operations.buckets import bounded_number, xml_response
from sagebrush.aws.s3.request import Request, Response
from sagebrush.aws.s3.tokens import decode_token, encode_token
from sagebrush.substrate.objects import ListedObject, ObjectStore, Page
from sagebrush.substrate.objects.errors import invalid_argument

MAX_KEYS = 1000


def list_objects_v2(objects: ObjectStore, request: Request) -> Response:
    """ListObjectsV2."""
    query = request.query
    if query["list-type"] != "2":
        raise invalid_argument("Invalid List Type specified in Query", "list-type", query["list-type"])
    _require_list(request)
    token, start_after = query.get("continuation-token"), query.get("start-after", "")
    if token == "":
        raise invalid_argument("The continuation token provided is incorrect", "continuation-token", "")
    page, limit = _page(objects, request, decode_token(token) if token else start_after)
    encode = encoder(query)
    owner = _owner(request) if query.get("fetch-owner") == "true" else ""
    return xml_response(
        xml.document(
            "ListBucketResult",
            *_head(query, request.bucket, limit, page),
            xml.element("KeyCount", len(page.objects) + len(page.prefixes)),
            xml.element("ContinuationToken", token),
            xml.element("NextContinuationToken", encode_token(page.next_after) if page.next_after else None),
            xml.element("StartAfter", encode(start_after) if start_after else None),
            *_contents(page, encode, owner),
            *common_prefixes(page, encode),
        )
    )


def list_objects(objects: ObjectStore, request: Request) -> Response:
    """ListObjects, the first version; NextMarker only with a delimiter, as S3 does."""
    query = request.query
    _require_list(request)
    marker = query.get("marker", "")
    page, limit = _page(objects, request, marker)
    encode = encoder(query)
    next_marker = encode(page.next_after) if page.next_after and query.get("delimiter") else None
    return xml_response(
        xml.document(
            "ListBucketResult",
            *_head(query, request.bucket, limit, page),
            f"<Marker>{xml.escape(encode(marker))}</Marker>",
            xml.element("NextMarker", next_marker),
            *_contents(page, encode, _owner(request)),
            *common_prefixes(page, encode),
        )
    )


def list_object_versions(objects: ObjectStore, request: Request) -> Response:
    """ListObjectVersions: every object is its one, latest version ``null``."""
    query = request.query
    request.caller.require("s3:ListBucketVersions", bucket_arn(request.bucket))
    marker = query.get("key-marker", "")
    page, limit = _page(objects, request, marker)
    encode = encoder(query)
    owner = _owner(request)
    versions = (
        xml.parent(
            "Version",
            *_object(listed, encode, owner),
            xml.element("VersionId", "null"),
            xml.element("IsLatest", True),
        )
        for listed in page.objects
    )
    return xml_response(
        xml.document(
            "ListVersionsResult",
            *_head(query, request.bucket, limit, page),
            f"<KeyMarker>{xml.escape(encode(marker))}</KeyMarker><VersionIdMarker></VersionIdMarker>",
            xml.element("NextKeyMarker", encode(page.next_after) if page.next_after else None),
            xml.element("NextVersionIdMarker", "null" if page.next_after else None),
            *versions,
            *common_prefixes(page, encode),
        )
    )


def _require_list(request: Request) -> None:
    query = request.query
    context = {f"s3:{name}": query[name] for name in ("prefix", "delimiter", "max-keys") if name in query}
    request.caller.require("s3:ListBucket", bucket_arn(request.bucket), context)


def _page(objects: ObjectStore, request: Request, start_after: str) -> tuple[Page, int]:
    query = request.query
    limit = bounded_number(query.get("max-keys") or str(MAX_KEYS), "max-keys", MAX_KEYS)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    return objects.list(request.bucket, prefix, start_after=start_after, delimiter=delimiter, limit=limit), limit


def encoder(query: Mapping[str, str]) -> Callable[[str], str]:
    """How keys are written: as they are, or URL-encoded when the client asks for it (XML cannot hold every key)."""
    encoding = query.get("encoding-type")
    if encoding not in (None, "", "url"):
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", encoding or "")
    return (lambda text: quote_plus(text, safe="/*")) if encoding else (lambda text: text)


def _head(query: Mapping[str, str], bucket: str, limit: int, page: Page) -> tuple[str, ...]:
    encode = encoder(query)
    delimiter = query.get("delimiter")
    return (
        xml.element("Name", bucket),
        f"<Prefix>{xml.escape(encode(query.get('prefix', '')))}</Prefix>",
        xml.element("Delimiter", encode(delimiter) if delimiter else None),
        xml.element("MaxKeys", limit),
        xml.element("EncodingType", query.get("encoding-type") or None),
        xml.element("IsTruncated", page.next_after is not None),
    )


def _contents(page: Page, encode: Callable[[str], str], owner: str) -> list[str]:
    return [f"<Contents>{''.join(_object(listed, encode, owner))}</Contents>" for listed in page.objects]


def _object(listed: ListedObject, encode: Callable[[str], str], owner: str) -> tuple[str, ...]:
    return (
        f"<Key>{xml.escape(encode(listed.key))}</Key><LastModified>{iso_date(listed.modified_us)}</LastModified>",
        f"<ETag>&quot;{listed.etag}&quot;</ETag><Size>{listed.size}</Size>",
        owner,
        "<StorageClass>STANDARD</StorageClass>",
    )


def common_prefixes(page: Page, encode: Callable[[str], str]) -> list[str]:
    """The CommonPrefixes elements."""
    return [xml.parent("CommonPrefixes", xml.element("Prefix", encode(prefix))) for prefix in page.prefixes]


def _owner(request: Request) -> str:
    return xml.parent("Owner", xml.element("ID", canonical_id(request.caller.account)))
