from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.aws.s3.errors import refused
from tests.aws.s3.running import RunningPlane


def new_name() -> str:
    return f"made-{uuid.uuid4().hex[:12]}"


def test_a_bucket_is_created_described_listed_and_deleted(s3: Any) -> None:
    name = new_name()
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    head = s3.head_bucket(Bucket=name)
    assert (head["BucketRegion"], head["BucketArn"]) == ("us-east-1", f"arn:aws:s3:::{name}")
    listed = {bucket["Name"]: bucket for bucket in s3.list_buckets()["Buckets"]}
    assert listed[name]["CreationDate"].year >= 2024
    assert listed[name]["BucketRegion"] == "us-east-1"
    s3.delete_bucket(Bucket=name)
    assert refused(s3.head_bucket, Bucket=name) == (404, "404")
    assert refused(s3.delete_bucket, Bucket=name) == (404, "NoSuchBucket")


def test_creating_a_bucket_again_succeeds_in_us_east_1_only(s3: Any) -> None:
    name, abroad = new_name(), new_name()
    s3.create_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    there = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket=abroad, CreateBucketConfiguration=there)
    again = refused(s3.create_bucket, Bucket=abroad, CreateBucketConfiguration=there)
    assert again == (409, "BucketAlreadyOwnedByYou")
    assert s3.get_bucket_location(Bucket=name).get("LocationConstraint") is None
    assert s3.get_bucket_location(Bucket=abroad)["LocationConstraint"] == "eu-west-1"


def test_location_constraints_are_checked(s3: Any) -> None:
    for constraint in ("us-east-1", "not a region"):
        configuration = {"LocationConstraint": constraint}
        answer = refused(s3.create_bucket, Bucket=new_name(), CreateBucketConfiguration=configuration)
        assert answer == (400, "InvalidLocationConstraint")


@pytest.mark.parametrize("name", ["UPPER-case", "under_score", "192.168.1.1"])
def test_names_that_break_the_rules_are_refused(s3: Any, name: str) -> None:
    assert refused(s3.create_bucket, Bucket=name) == (400, "InvalidBucketName")


def test_only_empty_buckets_are_deleted(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key")
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)


def test_buckets_are_listed_in_pages(plane: RunningPlane, s3: Any) -> None:
    prefix = f"paged-{uuid.uuid4().hex[:8]}-"
    names = [f"{prefix}{letter}" for letter in "abcde"]
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = list(s3.get_paginator("list_buckets").paginate(Prefix=prefix, PaginationConfig={"PageSize": 2}))
    assert [len(page["Buckets"]) for page in pages] == [2, 2, 1]
    assert [bucket["Name"] for page in pages for bucket in page["Buckets"]] == names


def test_another_expected_owner_is_refused(s3: Any, bucket: str) -> None:
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="123456789012")
    assert refused(s3.head_bucket, Bucket=bucket, ExpectedBucketOwner="999999999999") == (403, "403")
    put = refused(s3.put_object, Bucket=bucket, Key="key", Body=b"", ExpectedBucketOwner="999999999999")
    assert put == (403, "AccessDenied")
    copy_source = {"Bucket": bucket, "Key": "key"}
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    copied = refused(
        s3.copy_object, Bucket=bucket, Key="k", CopySource=copy_source, ExpectedSourceBucketOwner="999999999999"
    )
    assert copied == (403, "AccessDenied")


def test_bucket_tags_are_kept(s3: Any, bucket: str) -> None:
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")
    tags = [{"Key": "team", "Value": "red & <blue>"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")


def test_settings_nobody_made_read_as_not_made(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert refused(s3.get_bucket_policy, Bucket=bucket) == (404, "NoSuchBucketPolicy")
    encryption = refused(s3.get_bucket_encryption, Bucket=bucket)
    assert encryption == (404, "ServerSideEncryptionConfigurationNotFoundError")
    lifecycle = refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    assert lifecycle == (404, "NoSuchLifecycleConfiguration")
    access = refused(s3.get_public_access_block, Bucket=bucket)
    assert access == (404, "NoSuchPublicAccessBlockConfiguration")
    assert refused(s3.get_bucket_policy, Bucket="no-such-bucket-at-all") == (404, "NoSuchBucket")


def test_what_is_not_served_says_so(s3: Any, bucket: str) -> None:
    versioning = {"Status": "Enabled"}
    answer = refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=versioning)
    assert answer == (501, "NotImplemented")
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy="{}") == (501, "NotImplemented")
