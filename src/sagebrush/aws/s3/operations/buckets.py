"""Operations on buckets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sagebrush.aws.s3 import xml
from sagebrush.aws.s3.caller import bucket_arn
from sagebrush.aws.s3.formats import canonical_id, check_tags, iso_date
from sagebrush.aws.s3.numbers import whole_number
from sagebrush.aws.s3.request import Request, Response
from sagebrush.aws.s3.tokens import decode_token, encode_token
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.objects.errors import invalid_argument
from sagebrush.substrate.objects.names import check_bucket

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_DEFAULT_REGION = "us-east-1"


def xml_response(body: bytes, headers: dict[str, str] | None = None) -> Response:
    """A document as an answer."""
    return Response(200, {"content-type": "application/xml", **(headers or {})}, body)


def create_bucket(objects: ObjectStore, request: Request) -> Response:
    """CreateBucket."""
    check_bucket(request.bucket)
    request.caller.require("s3:CreateBucket", bucket_arn(request.bucket))
    if request.header("x-amz-bucket-object-lock-enabled").lower() == "true":
        raise CallerError("NotImplemented", "Object Lock is not implemented.", status=501)
    region = _location(request)
    objects.create_bucket(request.bucket, account=request.caller.account, region=region)
    return Response(200, {"location": f"/{request.bucket}"})


def _location(request: Request) -> str:
    constraint = None
    if request.body:
        constraint = xml.parse(request.body, "CreateBucketConfiguration").get("LocationConstraint")
    here = request.region
    if not constraint:
        if here != _DEFAULT_REGION:
            raise _illegal_location("unspecified")
        return here
    if constraint == "EU":
        constraint = "eu-west-1"
    if constraint == _DEFAULT_REGION or not _REGION.fullmatch(constraint):
        raise CallerError(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
            members={"LocationConstraint": constraint},
        )
    if here not in (_DEFAULT_REGION, constraint):
        raise _illegal_location(constraint)
    return constraint


def _illegal_location(constraint: str) -> CallerError:
    return CallerError(
        "IllegalLocationConstraintException",
        f"The {constraint} location constraint is incompatible for the region specific endpoint this request was "
        "sent to.",
    )


def head_bucket(objects: ObjectStore, request: Request) -> Response:
    """HeadBucket."""
    request.caller.require("s3:ListBucket", bucket_arn(request.bucket))
    info = objects.head_bucket(request.bucket)
    return Response(
        200,
        {
            "content-type": "application/xml",
            "x-amz-bucket-region": info.region,
            "x-amz-bucket-arn": bucket_arn(info.name),
            "x-amz-access-point-alias": "false",
        },
    )


def delete_bucket(objects: ObjectStore, request: Request) -> Response:
    """DeleteBucket."""
    request.caller.require("s3:DeleteBucket", bucket_arn(request.bucket))
    objects.delete_bucket(request.bucket)
    return Response(204)


def list_buckets(objects: ObjectStore, request: Request) -> Response:
    """ListBuckets: the caller's account's, by name."""
    request.caller.require("s3:ListAllMyBuckets", "*")
    query = request.query
    limit = bounded_number(query.get("max-buckets", "10000"), "max-buckets", 10_000, least=1)
    prefix, token = query.get("prefix", ""), query.get("continuation-token", "")
    found = objects.list_buckets(
        request.caller.account, prefix=prefix, start_after=decode_token(token) if token else "", limit=limit + 1
    )
    page = found[:limit]
    return xml_response(
        xml.document(
            "ListAllMyBucketsResult",
            xml.parent(
                "Buckets",
                *(
                    xml.parent(
                        "Bucket",
                        xml.element("Name", bucket.name),
                        xml.element("CreationDate", iso_date(bucket.created_us)),
                        xml.element("BucketRegion", bucket.region),
                        xml.element("BucketArn", bucket_arn(bucket.name)),
                    )
                    for bucket in page
                ),
            ),
            xml.parent("Owner", xml.element("ID", canonical_id(request.caller.account))),
            xml.element("Prefix", prefix or None),
            xml.element("ContinuationToken", encode_token(page[-1].name) if len(found) > limit else None),
        )
    )


def bounded_number(text: str, name: str, maximum: int, *, least: int = 0) -> int:
    """A count from the query, cut to the maximum. Raises CallerError InvalidArgument."""
    number = whole_number(text)
    if number is None or not least <= number < 2**31:
        raise invalid_argument(f"Provided {name} not an integer or within integer range", name, text)
    return min(number, maximum)


def get_bucket_location(objects: ObjectStore, request: Request) -> Response:
    """GetBucketLocation; us-east-1 is said by saying nothing."""
    request.caller.require("s3:GetBucketLocation", bucket_arn(request.bucket))
    region = objects.head_bucket(request.bucket).region
    return xml_response(xml.document("LocationConstraint", "" if region == _DEFAULT_REGION else xml.escape(region)))


def get_bucket_versioning(objects: ObjectStore, request: Request) -> Response:
    """GetBucketVersioning: never enabled."""
    request.caller.require("s3:GetBucketVersioning", bucket_arn(request.bucket))
    objects.head_bucket(request.bucket)
    return xml_response(xml.document("VersioningConfiguration"))


def get_bucket_tagging(objects: ObjectStore, request: Request) -> Response:
    """GetBucketTagging."""
    request.caller.require("s3:GetBucketTagging", bucket_arn(request.bucket))
    tags = objects.head_bucket(request.bucket).tags
    if not tags:
        raise CallerError(
            "NoSuchTagSet", "The TagSet does not exist", status=404, members={"BucketName": request.bucket}
        )
    return xml_response(tagging_document(tags))


def put_bucket_tagging(objects: ObjectStore, request: Request) -> Response:
    """PutBucketTagging."""
    request.caller.require("s3:PutBucketTagging", bucket_arn(request.bucket))
    objects.tag_bucket(request.bucket, read_tagging(request.body, limit=50))
    return Response(204)


def delete_bucket_tagging(objects: ObjectStore, request: Request) -> Response:
    """DeleteBucketTagging."""
    request.caller.require("s3:PutBucketTagging", bucket_arn(request.bucket))
    objects.tag_bucket(request.bucket, {})
    return Response(204)


def tagging_document(tags: Mapping[str, str]) -> bytes:
    """A TagSet."""
    return xml.document(
        "Tagging",
        xml.parent(
            "TagSet",
            *(xml.parent("Tag", xml.element("Key", key), xml.element("Value", value)) for key, value in tags.items()),
        ),
    )


def read_tagging(body: bytes, *, limit: int) -> dict[str, str]:
    """The tags of a Tagging document. Raises CallerError MalformedXML or InvalidTag."""
    pairs = []
    for tag_set in xml.parse(body, "Tagging").all("TagSet"):
        pairs += [(tag.need("Key"), tag.need("Value")) for tag in tag_set.all("Tag")]
    return check_tags(pairs, limit=limit)
