from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest

from tests.aws.s3.errors import refused


@pytest.mark.parametrize("size", [0, 1, 32 << 10, (32 << 10) + 1, 3 << 20], ids=str)
def test_what_was_put_is_what_is_got(s3: Any, bucket: str, size: int) -> None:
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="key", Body=body)
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    assert put["ETag"] == etag
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == body
    assert (got["ETag"], got["ContentLength"], got["AcceptRanges"]) == (etag, size, "bytes")
    head = s3.head_object(Bucket=bucket, Key="key")
    assert (head["ETag"], head["ContentLength"], head["LastModified"]) == (etag, size, got["LastModified"])


def test_what_the_writer_says_comes_back(s3: Any, bucket: str) -> None:
    said = {
        "ContentType": "text/csv; charset=utf-8",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a.csv"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "WebsiteRedirectLocation": "/elsewhere",
        "StorageClass": "STANDARD_IA",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "arn:aws:kms:us-east-1:123456789012:key/1",
        "Metadata": {"colour": "red", "with-dash": "a b"},
    }
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"x", Expires="Thu, 01 Jan 2099 00:00:00 GMT", **said)
    assert put["ServerSideEncryption"] == "aws:kms"
    for answer in (s3.get_object(Bucket=bucket, Key="key"), s3.head_object(Bucket=bucket, Key="key")):
        assert {name: answer[name] for name in said} == said
        assert answer["ExpiresString"] == "Thu, 01 Jan 2099 00:00:00 GMT"
    assert s3.put_object(Bucket=bucket, Key="plain", Body=b"x")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.head_object(Bucket=bucket, Key="plain")["ContentType"] == "binary/octet-stream"


def test_a_reader_may_ask_for_other_headers(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="key",
        ResponseContentType="application/json",
        ResponseContentDisposition="inline",
        ResponseCacheControl="no-store",
    )
    assert (got["ContentType"], got["ContentDisposition"], got["CacheControl"]) == (
        "application/json",
        "inline",
        "no-store",
    )


def test_missing_objects_are_named_in_the_body_but_not_to_head(s3: Any, bucket: str) -> None:
    assert refused(s3.get_object, Bucket=bucket, Key="nothing") == (404, "NoSuchKey")
    assert refused(s3.head_object, Bucket=bucket, Key="nothing") == (404, "404")
    assert refused(s3.get_object, Bucket="no-such-bucket-at-all", Key="k") == (404, "NoSuchBucket")
    assert refused(s3.put_object, Bucket="no-such-bucket-at-all", Key="k", Body=b"") == (404, "NoSuchBucket")


KEYS = ["a b/ü+&=?#.txt", "x//y/../z", "~a%20b", "/leading", "trailing/", "a" * 1024, "\x01\n\r<>&\"'", "\U0001f600"]


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_every_key_is_kept_as_it_is(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    if "\x01" in key:  # no XML document can hold it
        s3.delete_object(Bucket=bucket, Key=key)
    else:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_keys_longer_than_1024_bytes_are_refused(s3: Any, bucket: str) -> None:
    assert refused(s3.put_object, Bucket=bucket, Key="ü" * 513, Body=b"") == (400, "KeyTooLongError")


def test_deleting_succeeds_whether_or_not_there_is_anything(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    for _ in range(2):
        answer = s3.delete_object(Bucket=bucket, Key="key")
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_object, Bucket=bucket, Key="key") == (404, "NoSuchKey")


def test_many_objects_are_deleted_at_once(s3: Any, bucket: str) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    objects = [{"Key": "a"}, {"Key": "b"}, {"Key": "missing"}, {"Key": "c", "VersionId": "not-null"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert sorted(entry["Key"] for entry in answer["Deleted"]) == ["a", "b", "missing"]
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [("c", "NoSuchVersion")]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    too_many = [{"Key": str(number)} for number in range(1001)]
    assert refused(s3.delete_objects, Bucket=bucket, Delete={"Objects": too_many}) == (400, "MalformedXML")


def test_a_copy_takes_or_replaces_what_was_said(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a +ü", Body=b"data", ContentType="text/plain", Metadata={"m": "1"}, Tagging="t=1")
    source = {"Bucket": bucket, "Key": "a +ü"}
    answer = s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
    assert answer["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"data").hexdigest()}"'
    same = s3.get_object(Bucket=bucket, Key="same")
    assert (same["Body"].read(), same["ContentType"], same["Metadata"]) == (b"data", "text/plain", {"m": "1"})
    assert same["TagCount"] == 1
    s3.copy_object(
        Bucket=bucket,
        Key="new",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"n": "2"},
        TaggingDirective="REPLACE",
        Tagging="u=2&v=3",
    )
    new = s3.head_object(Bucket=bucket, Key="new")
    assert (new["Metadata"], new["ContentType"]) == ({"n": "2"}, "binary/octet-stream")
    tags = s3.get_object_tagging(Bucket=bucket, Key="new")["TagSet"]
    assert tags == [{"Key": "u", "Value": "2"}, {"Key": "v", "Value": "3"}]


def test_a_copy_onto_itself_must_change_something(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"data", Metadata={"m": "1"})
    source = {"Bucket": bucket, "Key": "key"}
    assert refused(s3.copy_object, Bucket=bucket, Key="key", CopySource=source) == (400, "InvalidRequest")
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, MetadataDirective="REPLACE", Metadata={"m": "2"})
    got = s3.get_object(Bucket=bucket, Key="key")
    assert (got["Body"].read(), got["Metadata"]) == (b"data", {"m": "2"})
    missing = {"Bucket": bucket, "Key": "missing"}
    assert refused(s3.copy_object, Bucket=bucket, Key="k", CopySource=missing) == (404, "NoSuchKey")


def test_object_tags_are_kept(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="a=1&b=%C3%BC")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "ü"},
    ]
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": [{"Key": "c", "Value": ""}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [{"Key": "c", "Value": ""}]
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []
    eleven = {"TagSet": [{"Key": str(number), "Value": ""} for number in range(11)]}
    assert refused(s3.put_object_tagging, Bucket=bucket, Key="key", Tagging=eleven) == (400, "BadRequest")
    twice = {"TagSet": [{"Key": "a", "Value": ""}] * 2}
    assert refused(s3.put_object_tagging, Bucket=bucket, Key="key", Tagging=twice) == (400, "InvalidTag")


def test_attributes_are_those_that_were_asked_for(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"data", ChecksumAlgorithm="SHA256")
    answer = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["ETag", "ObjectSize", "Checksum"])
    assert (answer["ETag"], answer["ObjectSize"]) == (hashlib.md5(b"data").hexdigest(), 4)
    assert "ChecksumSHA256" in answer["Checksum"]
    assert "StorageClass" not in answer


def test_headers_that_ask_for_what_is_not_there_are_refused(s3: Any, bucket: str) -> None:
    put = s3.put_object
    assert refused(put, Bucket=bucket, Key="k", ACL="public-read") == (400, "AccessControlListNotSupported")
    assert refused(put, Bucket=bucket, Key="k", StorageClass="FLOPPY") == (400, "InvalidStorageClass")
    assert refused(put, Bucket=bucket, Key="k", Metadata={"a": "x" * 2048}) == (400, "MetadataTooLarge")
    key = os.urandom(32)
    encrypted = refused(put, Bucket=bucket, Key="k", SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    assert encrypted == (501, "NotImplemented")
    put(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="1") == (404, "NoSuchVersion")
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Grants"][0]["Permission"] == "FULL_CONTROL"
