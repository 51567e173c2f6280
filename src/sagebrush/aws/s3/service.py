"""The S3 service over an object store: authenticated requests in, responses out. Synchronous; knows no sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sagebrush.aws.s3 import receiving, xml
from sagebrush.aws.s3.integrity import Claims, verify_body
from sagebrush.aws.s3.operations import buckets, configurations, listings, multipart, objects
from sagebrush.aws.s3.receiving import Receiving
from sagebrush.aws.s3.request import Request, Response
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import ObjectStore

Operation = Callable[[ObjectStore, Request], Response]

#: Operations whose payload is object data and may be big; everything else is answered from a whole body.
STREAMED = frozenset({"PutObject", "UploadPart"})

OPERATIONS: dict[str, Operation] = {
    "ListBuckets": buckets.list_buckets,
    "CreateBucket": buckets.create_bucket,
    "HeadBucket": buckets.head_bucket,
    "DeleteBucket": buckets.delete_bucket,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketVersioning": buckets.get_bucket_versioning,
    "GetBucketTagging": buckets.get_bucket_tagging,
    "PutBucketTagging": buckets.put_bucket_tagging,
    "DeleteBucketTagging": buckets.delete_bucket_tagging,
    "ListObjectsV2": listings.list_objects_v2,
    "ListObjects": listings.list_objects,
    "ListObjectVersions": listings.list_object_versions,
    "GetObject": objects.get_object,
    "HeadObject": objects.get_object,
    "DeleteObject": objects.delete_object,
    "DeleteObjects": objects.delete_objects,
    "CopyObject": objects.copy_object,
    "GetObjectTagging": objects.get_object_tagging,
    "PutObjectTagging": objects.put_object_tagging,
    "DeleteObjectTagging": objects.delete_object_tagging,
    "GetObjectAttributes": objects.get_object_attributes,
    "CreateMultipartUpload": multipart.create_multipart_upload,
    "UploadPartCopy": multipart.upload_part_copy,
    "CompleteMultipartUpload": multipart.complete_multipart_upload,
    "AbortMultipartUpload": multipart.abort_multipart_upload,
    "ListParts": multipart.list_parts,
    "ListMultipartUploads": multipart.list_multipart_uploads,
    "GetBucketAcl": configurations.get_bucket_acl,
    "GetObjectAcl": configurations.get_object_acl,
    **dict.fromkeys(configurations.SERVED, configurations.get_configuration),
}


class S3:
    """S3 for one object store."""

    def __init__(self, object_store: ObjectStore):
        self._objects = object_store

    def handle(self, request: Request, claims: Claims, trailers: Mapping[str, str]) -> Response:
        """Answer a request whose body is complete. Raises CallerError with S3's codes."""
        operation = request.target.operation
        if operation in STREAMED:
            taken = self.receive(request, claims)
            try:
                taken.write(request.body)
            except BaseException:
                taken.discard()
                raise
            return taken.finish(trailers)
        if operation not in OPERATIONS:
            raise CallerError(
                "NotImplemented",
                f"A header you provided implies functionality that is not implemented: Sagebrush does not serve "
                f"s3:{operation}.",
                status=501,
            )
        if operation == "CompleteMultipartUpload":
            # Here the checksum headers are about the object, not about the part list.
            claims = replace(claims, algorithm="", checksum="")
        verify_body(claims, request.body, trailers)
        self._check_owner(request)
        return OPERATIONS[operation](self._objects, request)

    def receive(self, request: Request, claims: Claims) -> Receiving:
        """Begin to take a streamed payload; raises what can be refused before it comes."""
        self._check_owner(request)
        return receiving.receive(self._objects, request, claims)

    def _check_owner(self, request: Request) -> None:
        """x-amz-expected-bucket-owner: a guard against writing into somebody else's bucket of a guessed name."""
        expected = request.header("x-amz-expected-bucket-owner")
        if not expected or not request.bucket or request.target.operation == "CreateBucket":
            return
        if self._objects.head_bucket(request.bucket).account != expected:
            raise CallerError("AccessDenied", "Access Denied", status=403)


def error_response(error: CallerError, request_id: str, host_id: str) -> Response:
    """An error as S3 writes it. HEAD answers carry the status alone; the plane leaves the body away."""
    headers = {"content-type": "application/xml"}
    if error.code == "InvalidRange":
        headers["content-range"] = f"bytes */{error.members['ActualObjectSize']}"
    body = xml.DECLARATION + xml.parent(
        "Error",
        xml.element("Code", error.code),
        xml.element("Message", error.message),
        *(xml.element(name, value) for name, value in error.members.items()),
        xml.element("RequestId", request_id),
        xml.element("HostId", host_id),
    )
    return Response(error.status, headers, body.encode())
