"""Headers that describe an object: taken in with a write, given out with a read."""

from __future__ import annotations

from collections.abc import Mapping

from sagebrush.aws.s3.formats import http_date, parse_tags
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import Attributes, ObjectInfo
from sagebrush.substrate.objects.checksums import encode
from sagebrush.substrate.objects.info import DEFAULT_CONTENT_TYPE

META = "x-amz-meta-"
MAX_METADATA_BYTES = 2048

#: Kept and given back as they came. The encryption headers are kept because clients check their echo; what a
#: self-hosted disk encrypts is its operator's business.
_KEPT = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
)
_ECHOED = tuple(name for name in _KEPT if name.startswith("x-amz-server-side-encryption"))
_REFUSED = (
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-legal-hold",
    "x-amz-write-offset-bytes",
)
_GRANTS = ("x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-read-acp", "x-amz-grant-write-acp")
_STORAGE_CLASSES = {
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE",
    "GLACIER_IR", "EXPRESS_ONEZONE",
}  # fmt: skip

#: Query parameters of GetObject that replace response headers.
OVERRIDES = {
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-content-type": "content-type",
    "response-expires": "expires",
}


def from_headers(headers: Mapping[str, str]) -> Attributes:
    """What a write's headers say about the object. Raises CallerError for what S3 refuses or we cannot honour."""
    _refuse(headers)
    kept = {name: headers[name] for name in _KEPT if headers.get(name)}
    if (encoding := kept.get("content-encoding")) is not None:
        # aws-chunked is about the transfer, not about the object.
        codings = [coding for coding in map(str.strip, encoding.split(",")) if coding and coding != "aws-chunked"]
        kept.pop("content-encoding")
        if codings:
            kept["content-encoding"] = ",".join(codings)
    storage_class = kept.get("x-amz-storage-class", "STANDARD")
    if storage_class not in _STORAGE_CLASSES:
        raise CallerError("InvalidStorageClass", "The storage class you specified is not valid")
    metadata = {name[len(META) :]: value for name, value in headers.items() if name.startswith(META)}
    size = sum(len(name) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise CallerError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            members={"Size": str(size), "MaxSizeAllowed": str(MAX_METADATA_BYTES)},
        )
    tagging = headers.get("x-amz-tagging", "")
    return Attributes(
        content_type=headers.get("content-type") or DEFAULT_CONTENT_TYPE,
        headers=kept,
        metadata=metadata,
        tags=parse_tags(tagging) if tagging else {},
    )


def _refuse(headers: Mapping[str, str]) -> None:
    for name in _REFUSED:
        if name in headers:
            raise CallerError(
                "NotImplemented",
                f"A header you provided implies functionality that is not implemented: {name}",
                status=501,
                members={"Header": name},
            )
    acl = headers.get("x-amz-acl", "private")
    if acl not in ("private", "bucket-owner-full-control") or any(name in headers for name in _GRANTS):
        raise CallerError("AccessControlListNotSupported", "The bucket does not allow ACLs")


def echo(attributes: Attributes) -> dict[str, str]:
    """The headers with which a write is answered besides the ETag."""
    return {name: attributes.headers[name] for name in _ECHOED if name in attributes.headers}


def describe(info: ObjectInfo) -> dict[str, str]:
    """The headers of a read: everything but the length."""
    attributes = info.attributes
    headers = {
        "etag": f'"{info.etag}"',
        "last-modified": http_date(info.modified_us),
        "content-type": attributes.content_type,
        "accept-ranges": "bytes",
    }
    headers.update(attributes.headers)
    if headers.get("x-amz-storage-class") == "STANDARD":
        del headers["x-amz-storage-class"]
    for name, value in attributes.metadata.items():
        headers[META + name] = value
    if attributes.tags:
        headers["x-amz-tagging-count"] = str(len(attributes.tags))
    return headers


def checksum_headers(info: ObjectInfo) -> dict[str, str]:
    """The object's checksums as response headers."""
    if not info.checksums.values:
        return {}
    headers = {f"x-amz-checksum-{name.lower()}": value for name, value in info.checksums.values.items()}
    return headers | {"x-amz-checksum-type": info.checksums.kind}


def digest_header(algorithm: str, digest: bytes) -> dict[str, str]:
    """One checksum as a response header."""
    return {f"x-amz-checksum-{algorithm.lower()}": encode(digest)}
