"""Which operation a request is: by method, path and sub-resource, as the S3 REST API lays them out.

Path style (``/bucket/key``) and virtual-host style (``bucket.localhost``, ``bucket.s3.amazonaws.com``) are both
understood. The path is taken as sent: ``//`` and ``..`` are parts of a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_plus, unquote_to_bytes

from sagebrush.aws.s3.request import Target
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.addresses import virtual_bucket

# Sub-resources that name an operation, by method; the first that the query has decides.
_BUCKET: dict[str, tuple[tuple[str, str], ...]] = {
    "GET": (
        ("list-type", "ListObjectsV2"),
        ("location", "GetBucketLocation"),
        ("uploads", "ListMultipartUploads"),
        ("versions", "ListObjectVersions"),
        ("versioning", "GetBucketVersioning"),
        ("tagging", "GetBucketTagging"),
        ("acl", "GetBucketAcl"),
        ("policy", "GetBucketPolicy"),
        ("policyStatus", "GetBucketPolicyStatus"),
        ("encryption", "GetBucketEncryption"),
        ("cors", "GetBucketCors"),
        ("lifecycle", "GetBucketLifecycleConfiguration"),
        ("website", "GetBucketWebsite"),
        ("notification", "GetBucketNotificationConfiguration"),
        ("logging", "GetBucketLogging"),
        ("ownershipControls", "GetBucketOwnershipControls"),
        ("publicAccessBlock", "GetPublicAccessBlock"),
        ("object-lock", "GetObjectLockConfiguration"),
        ("replication", "GetBucketReplication"),
        ("requestPayment", "GetBucketRequestPayment"),
        ("accelerate", "GetBucketAccelerateConfiguration"),
        ("analytics", "ListBucketAnalyticsConfigurations"),
        ("inventory", "ListBucketInventoryConfigurations"),
        ("metrics", "ListBucketMetricsConfigurations"),
        ("intelligent-tiering", "ListBucketIntelligentTieringConfigurations"),
        ("session", "CreateSession"),
    ),
    "PUT": (
        ("tagging", "PutBucketTagging"),
        ("versioning", "PutBucketVersioning"),
        ("acl", "PutBucketAcl"),
        ("policy", "PutBucketPolicy"),
        ("encryption", "PutBucketEncryption"),
        ("cors", "PutBucketCors"),
        ("lifecycle", "PutBucketLifecycleConfiguration"),
        ("website", "PutBucketWebsite"),
        ("notification", "PutBucketNotificationConfiguration"),
        ("logging", "PutBucketLogging"),
        ("ownershipControls", "PutBucketOwnershipControls"),
        ("publicAccessBlock", "PutPublicAccessBlock"),
        ("object-lock", "PutObjectLockConfiguration"),
        ("replication", "PutBucketReplication"),
        ("requestPayment", "PutBucketRequestPayment"),
        ("accelerate", "PutBucketAccelerateConfiguration"),
        ("analytics", "PutBucketAnalyticsConfiguration"),
        ("inventory", "PutBucketInventoryConfiguration"),
        ("metrics", "PutBucketMetricsConfiguration"),
        ("intelligent-tiering", "PutBucketIntelligentTieringConfiguration"),
    ),
    "DELETE": (
        ("tagging", "DeleteBucketTagging"),
        ("policy", "DeleteBucketPolicy"),
        ("encryption", "DeleteBucketEncryption"),
        ("cors", "DeleteBucketCors"),
        ("lifecycle", "DeleteBucketLifecycle"),
        ("website", "DeleteBucketWebsite"),
        ("ownershipControls", "DeleteBucketOwnershipControls"),
        ("publicAccessBlock", "DeletePublicAccessBlock"),
        ("replication", "DeleteBucketReplication"),
    ),
    "POST": (("delete", "DeleteObjects"),),
}

_OBJECT: dict[str, tuple[tuple[str, str], ...]] = {
    "GET": (
        ("uploadId", "ListParts"),
        ("tagging", "GetObjectTagging"),
        ("acl", "GetObjectAcl"),
        ("attributes", "GetObjectAttributes"),
        ("legal-hold", "GetObjectLegalHold"),
        ("retention", "GetObjectRetention"),
        ("torrent", "GetObjectTorrent"),
    ),
    "PUT": (
        ("uploadId", "UploadPart"),
        ("tagging", "PutObjectTagging"),
        ("acl", "PutObjectAcl"),
        ("legal-hold", "PutObjectLegalHold"),
        ("retention", "PutObjectRetention"),
        ("renameObject", "RenameObject"),
        ("encryption", "UpdateObjectEncryption"),
    ),
    "DELETE": (("uploadId", "AbortMultipartUpload"), ("tagging", "DeleteObjectTagging")),
    "POST": (
        ("uploadId", "CompleteMultipartUpload"),
        ("uploads", "CreateMultipartUpload"),
        ("select", "SelectObjectContent"),
        ("restore", "RestoreObject"),
    ),
    "HEAD": (),
}

_BUCKET_PLAIN = {"GET": "ListObjects", "HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
_OBJECT_PLAIN = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


def route(method: str, raw_path: str, raw_query: str, headers: Mapping[str, str]) -> Target:
    """The addressed operation. Raises CallerError InvalidURI or MethodNotAllowed."""
    query = parse_query(raw_query) if raw_query else {}
    path = raw_path.removeprefix("/")
    host_bucket = virtual_bucket(headers.get("host", ""))
    raw_bucket, _, raw_key = (host_bucket, "/", path) if host_bucket else path.partition("/")
    bucket, key = _decode(raw_bucket), _decode(raw_key)
    if not bucket:
        if method == "GET":
            return Target("ListBuckets", query=query)
        raise _not_allowed(method)
    operation = _object_operation(method, query, headers) if key else _bucket_operation(method, query)
    return Target(operation, bucket, key, query)


def _bucket_operation(method: str, query: Mapping[str, str]) -> str:
    for name, operation in _BUCKET.get(method, ()):
        if name in query:
            return operation
    try:
        return _BUCKET_PLAIN[method]
    except KeyError:
        raise _not_allowed(method) from None


def _object_operation(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    operation = ""
    if query:
        operation = next((found for name, found in _OBJECT.get(method, ()) if name in query), "")
    operation = operation or _OBJECT_PLAIN.get(method, "")
    if not operation:
        raise _not_allowed(method)
    if "x-amz-copy-source" in headers:
        return {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}.get(operation, operation)
    return operation


def parse_query(raw_query: str) -> dict[str, str]:
    """Query parameters, decoded; one without ``=`` has the empty value."""
    parsed = {}
    for pair in raw_query.split("&"):
        name, _, value = pair.partition("=")
        if name:
            parsed[unquote_plus(name)] = unquote_plus(value)
    return parsed


def _decode(raw: str) -> str:
    if "%" not in raw:
        return raw
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise CallerError("InvalidURI", "Couldn't parse the specified URI.", members={"URI": raw}) from None


def _not_allowed(method: str) -> CallerError:
    return CallerError(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        status=405,
        members={"Method": method},
    )
