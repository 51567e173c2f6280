"""Bucket settings that nobody can change here: reading them says what AWS says of a bucket where they are not set."""

from __future__ import annotations

from sagebrush.aws.s3 import xml
from sagebrush.aws.s3.caller import bucket_arn, object_arn
from sagebrush.aws.s3.formats import canonical_id
from sagebrush.aws.s3.operations.buckets import xml_response
from sagebrush.aws.s3.operations.objects import find
from sagebrush.aws.s3.request import Request, Response
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import ObjectStore

# Operation -> (code, message) with 404.
_NOT_SET = {
    "GetBucketPolicy": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "GetBucketPolicyStatus": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "GetBucketCors": ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    "GetBucketLifecycleConfiguration": (
        "NoSuchLifecycleConfiguration",
        "The lifecycle configuration does not exist",
    ),
    "GetBucketWebsite": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    "GetBucketEncryption": (
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    ),
    "GetBucketReplication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    "GetPublicAccessBlock": (
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
    "GetObjectLockConfiguration": (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
}

# Operation -> (root, content) with 200.
_PLAIN = {
    "GetBucketNotificationConfiguration": ("NotificationConfiguration", ""),
    "GetBucketLogging": ("BucketLoggingStatus", ""),
    "GetBucketAccelerateConfiguration": ("AccelerateConfiguration", ""),
    "GetBucketRequestPayment": ("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
    "GetBucketOwnershipControls": (
        "OwnershipControls",
        "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>",
    ),
}

_ACTIONS = {
    "GetBucketCors": "s3:GetBucketCORS",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "GetBucketReplication": "s3:GetReplicationConfiguration",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration",
}

SERVED = (*_NOT_SET, *_PLAIN)


def get_configuration(objects: ObjectStore, request: Request) -> Response:
    """Any of :data:`SERVED`."""
    operation = request.target.operation
    request.caller.require(_ACTIONS.get(operation, f"s3:{operation}"), bucket_arn(request.bucket))
    objects.head_bucket(request.bucket)
    if operation in _NOT_SET:
        code, message = _NOT_SET[operation]
        raise CallerError(code, message, status=404, members={"BucketName": request.bucket})
    return xml_response(xml.document(*_PLAIN[operation]))


def get_bucket_acl(objects: ObjectStore, request: Request) -> Response:
    """GetBucketAcl: the owner has everything."""
    request.caller.require("s3:GetBucketAcl", bucket_arn(request.bucket))
    return _owner_only(objects.head_bucket(request.bucket).account)


def get_object_acl(objects: ObjectStore, request: Request) -> Response:
    """GetObjectAcl: the bucket's owner has everything."""
    request.caller.require("s3:GetObjectAcl", object_arn(request.bucket, request.key))
    find(objects, request)
    return _owner_only(objects.head_bucket(request.bucket).account)


def _owner_only(account: str) -> Response:
    owner = xml.element("ID", canonical_id(account))
    instance = "http://www.w3.org/2001/XMLSchema-instance"
    grantee = f'<Grantee xmlns:xsi="{instance}" xsi:type="CanonicalUser">{owner}</Grantee>'
    return xml_response(
        xml.document(
            "AccessControlPolicy",
            xml.parent("Owner", owner),
            xml.parent("AccessControlList", xml.parent("Grant", grantee, xml.element("Permission", "FULL_CONTROL"))),
        )
    )
