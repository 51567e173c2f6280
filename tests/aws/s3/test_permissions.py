"""Each operation asks for the action and resource that AWS documents for it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from tests.aws.s3.errors import refused
from tests.aws.s3.running import RunningPlane

DENIED = (403, "AccessDenied")


@pytest.fixture
def filled(s3: Any, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="a=1")
    return bucket


def test_a_reader_reads_and_does_nothing_else(plane: RunningPlane, filled: str) -> None:
    reader = plane.client("reader")
    assert reader.get_object(Bucket=filled, Key="key")["Body"].read() == b"x"
    reader.head_object(Bucket=filled, Key="key")
    assert refused(reader.put_object, Bucket=filled, Key="key", Body=b"") == DENIED
    assert refused(reader.delete_object, Bucket=filled, Key="key") == DENIED
    assert refused(reader.list_objects_v2, Bucket=filled) == DENIED
    assert refused(reader.list_buckets) == DENIED
    assert refused(reader.head_bucket, Bucket=filled) == (403, "403")
    assert refused(reader.get_object_tagging, Bucket=filled, Key="key") == DENIED
    assert refused(reader.create_bucket, Bucket="never-made-bucket") == DENIED


def test_who_may_not_list_does_not_learn_what_is_missing(plane: RunningPlane, filled: str) -> None:
    assert refused(plane.client("reader").get_object, Bucket=filled, Key="missing") == DENIED
    assert refused(plane.client("lister").get_object, Bucket=filled, Key="missing") == (404, "NoSuchKey")


def test_a_lister_lists(plane: RunningPlane, filled: str) -> None:
    lister = plane.client("lister")
    assert lister.list_objects_v2(Bucket=filled)["KeyCount"] == 1
    assert lister.list_objects(Bucket=filled)["Contents"]
    lister.head_bucket(Bucket=filled)
    assert refused(lister.list_object_versions, Bucket=filled) == DENIED
    assert refused(lister.list_multipart_uploads, Bucket=filled) == DENIED


def test_a_writer_writes_where_it_may(plane: RunningPlane, filled: str) -> None:
    writer = plane.client("writer")
    writer.put_object(Bucket=filled, Key="inbox/a", Body=b"1")
    assert refused(writer.put_object, Bucket=filled, Key="other", Body=b"1") == DENIED
    assert refused(writer.put_object, Bucket=filled, Key="inbox/a", Body=b"1", Tagging="a=1") == DENIED
    # Copying needs to read the source as well.
    source = {"Bucket": filled, "Key": "key"}
    assert refused(writer.copy_object, Bucket=filled, Key="inbox/b", CopySource=source) == DENIED
    upload = writer.create_multipart_upload(Bucket=filled, Key="inbox/c")["UploadId"]
    where = {"Bucket": filled, "Key": "inbox/c", "UploadId": upload}
    part = writer.upload_part(**where, PartNumber=1, Body=b"x" * 1_000_000)
    assert refused(writer.upload_part_copy, **where, PartNumber=2, CopySource=source) == DENIED
    assert refused(writer.list_parts, **where) == DENIED
    assert refused(writer.abort_multipart_upload, **where) == DENIED
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    writer.complete_multipart_upload(**where, MultipartUpload=parts)


def test_deleting_many_asks_for_each(plane: RunningPlane, filled: str) -> None:
    answer = plane.client("writer").delete_objects(Bucket=filled, Delete={"Objects": [{"Key": "key"}]})
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [("key", "AccessDenied")]
    assert plane.client().head_object(Bucket=filled, Key="key")["ContentLength"] == 1


def test_a_big_upload_is_refused_before_its_bytes_are_kept(plane: RunningPlane, filled: str) -> None:
    body = b"x" * 3_000_000
    assert refused(plane.client("reader").put_object, Bucket=filled, Key="big", Body=body) == DENIED
    assert refused(plane.client().head_object, Bucket=filled, Key="big") == (404, "404")


def test_nobody_comes_in_unsigned_or_with_a_wrong_key(plane: RunningPlane, filled: str) -> None:
    def client(**changes: str) -> Any:
        credentials = plane.credentials["operator"] | changes
        return boto3.client("s3", endpoint_url=plane.url, region_name="us-east-1", **credentials)

    anonymous = boto3.client(
        "s3", endpoint_url=plane.url, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
    )
    assert refused(anonymous.get_object, Bucket=filled, Key="key") == DENIED
    assert refused(anonymous.list_buckets) == DENIED
    wrong = client(aws_secret_access_key="wrong")
    assert refused(wrong.get_object, Bucket=filled, Key="key") == (403, "SignatureDoesNotMatch")
    unknown = boto3.client(
        "s3",
        endpoint_url=plane.url,
        region_name="us-east-1",
        aws_access_key_id="AKIAXXXXXXXXXXXXXXXX",
        aws_secret_access_key="x",
    )
    assert refused(unknown.get_object, Bucket=filled, Key="key") == (403, "InvalidAccessKeyId")
