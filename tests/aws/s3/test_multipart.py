from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from tests.aws.s3.errors import refused

MEBIBYTE = 1 << 20
PART = os.urandom(5 * MEBIBYTE)
TAIL = b"the end"


def send(s3: Any, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> dict[str, Any]:
    answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body)
    return {"PartNumber": number, "ETag": answer["ETag"]}


@pytest.fixture
def upload(s3: Any, bucket: str) -> str:
    upload_id: str = s3.create_multipart_upload(
        Bucket=bucket, Key="key", ContentType="text/plain", Metadata={"m": "1"}, Tagging="t=1"
    )["UploadId"]
    return upload_id


def complete(s3: Any, bucket: str, upload_id: str, parts: list[dict[str, Any]], **more: Any) -> Any:
    return s3.complete_multipart_upload(
        Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts}, **more
    )


@pytest.mark.parametrize("size", [0, 8 * MEBIBYTE, 37 * MEBIBYTE + 11])
def test_the_sdk_moves_files_both_ways(s3: Any, bucket: str, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    s3.upload_file(str(source), bucket, "file", ExtraArgs={"Metadata": {"a": "1"}})
    s3.download_file(bucket, "file", str(target))
    assert target.read_bytes() == source.read_bytes()
    assert s3.head_object(Bucket=bucket, Key="file")["Metadata"] == {"a": "1"}


def test_a_stream_of_unknown_length_is_taken(s3: Any, bucket: str) -> None:
    class Unseekable(io.RawIOBase):
        def __init__(self) -> None:
            self.source = io.BytesIO(PART * 3)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self.source.readinto(buffer)

    s3.upload_fileobj(Unseekable(), bucket, "stream", Config=TransferConfig(multipart_chunksize=6 * MEBIBYTE))
    assert s3.get_object(Bucket=bucket, Key="stream")["Body"].read() == PART * 3


def test_parts_in_any_order_are_put_together_as_listed(s3: Any, bucket: str, upload: str) -> None:
    parts = [send(s3, bucket, "key", upload, number, body) for number, body in ((3, TAIL), (1, PART), (2, PART))]
    parts.sort(key=lambda part: part["PartNumber"])
    answer = complete(s3, bucket, upload, parts)
    digests = b"".join(hashlib.md5(body).digest() for body in (PART, PART, TAIL))
    assert answer["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert (answer["Bucket"], answer["Key"]) == (bucket, "key")
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == PART + PART + TAIL
    assert (got["ContentType"], got["Metadata"], got["TagCount"]) == ("text/plain", {"m": "1"}, 1)
    second = s3.get_object(Bucket=bucket, Key="key", PartNumber=3)
    assert (second["Body"].read(), second["PartsCount"]) == (TAIL, 3)
    assert refused(s3.head_object, Bucket=bucket, Key="key", PartNumber=4) == (416, "416")


def test_the_list_decides_and_must_be_right(s3: Any, bucket: str, upload: str) -> None:
    one, two, three = (send(s3, bucket, "key", upload, n, body) for n, body in ((1, PART), (2, b"small"), (3, TAIL)))

    def code(parts: list[dict[str, Any]]) -> tuple[int, str]:
        listed = {"Parts": parts}
        arguments = {"Bucket": bucket, "Key": "key", "UploadId": upload, "MultipartUpload": listed}
        return refused(s3.complete_multipart_upload, **arguments)

    assert code([two, one]) == (400, "InvalidPartOrder")
    assert code([one, two, three]) == (400, "EntityTooSmall")
    assert code([one, {"PartNumber": 4, "ETag": one["ETag"]}]) == (400, "InvalidPart")
    assert code([{"PartNumber": 1, "ETag": two["ETag"]}]) == (400, "InvalidPart")
    assert code([]) == (400, "MalformedXML")
    complete(s3, bucket, upload, [one, three])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == PART + TAIL
    assert code([one]) == (404, "NoSuchUpload")


def test_completing_can_be_repeated_and_conditional(s3: Any, bucket: str, upload: str) -> None:
    parts = [send(s3, bucket, "key", upload, 1, TAIL)]
    first = complete(s3, bucket, upload, parts, IfNoneMatch="*")
    assert complete(s3, bucket, upload, parts)["ETag"] == first["ETag"]
    other = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    parts = [send(s3, bucket, "key", other, 1, PART)]
    arguments = {"Bucket": bucket, "Key": "key", "UploadId": other, "MultipartUpload": {"Parts": parts}}
    assert refused(s3.complete_multipart_upload, **arguments, IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(s3.complete_multipart_upload, **arguments, MpuObjectSize=3) == (400, "InvalidRequest")
    complete(s3, bucket, other, parts, MpuObjectSize=len(PART))


def test_an_aborted_upload_is_gone(s3: Any, bucket: str, upload: str) -> None:
    send(s3, bucket, "key", upload, 1, PART)
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    s3.abort_multipart_upload(**where)
    assert refused(s3.abort_multipart_upload, **where) == (404, "NoSuchUpload")
    assert refused(s3.list_parts, **where) == (404, "NoSuchUpload")
    assert refused(s3.upload_part, **where, PartNumber=1, Body=b"") == (404, "NoSuchUpload")
    assert refused(s3.upload_part, **where, PartNumber=1, Body=PART) == (404, "NoSuchUpload")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_part_numbers_are_1_to_10000(s3: Any, bucket: str, upload: str) -> None:
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload, "Body": b""}
    assert refused(s3.upload_part, **where, PartNumber=0) == (400, "InvalidArgument")
    assert refused(s3.upload_part, **where, PartNumber=10_001) == (400, "InvalidArgument")
    s3.upload_part(**where, PartNumber=10_000)


def test_parts_and_uploads_are_listed_in_pages(s3: Any, bucket: str, upload: str) -> None:
    for number in (5, 1, 3):
        send(s3, bucket, "key", upload, number, b"%d" % number)
    paginator = s3.get_paginator("list_parts")
    pages = list(paginator.paginate(Bucket=bucket, Key="key", UploadId=upload, PaginationConfig={"PageSize": 2}))
    assert [[part["PartNumber"] for part in page["Parts"]] for page in pages] == [[1, 3], [5]]
    assert pages[0]["Parts"][0]["Size"] == 1
    others = [s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in ("ü", "key", "a/b")]
    paginator = s3.get_paginator("list_multipart_uploads")
    found = [
        (entry["Key"], entry["UploadId"])
        for page in paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
        for entry in page["Uploads"]
    ]
    assert found == [("a/b", others[2]), *sorted([("key", upload), ("key", others[1])]), ("ü", others[0])]
    assert len(s3.list_multipart_uploads(Bucket=bucket, Prefix="a/")["Uploads"]) == 1


def test_parts_can_be_copied_from_objects(s3: Any, bucket: str, upload: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=PART + TAIL)
    s3.put_object(Bucket=bucket, Key="small", Body=TAIL)
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    source = {"Bucket": bucket, "Key": "source"}
    first = s3.upload_part_copy(**where, PartNumber=1, CopySource=source, CopySourceRange=f"bytes=0-{len(PART) - 1}")[
        "CopyPartResult"
    ]
    second = s3.upload_part_copy(**where, PartNumber=2, CopySource={"Bucket": bucket, "Key": "small"})["CopyPartResult"]
    parts = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["ETag"]}]
    complete(s3, bucket, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == PART + TAIL
    other = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    outside = {"CopySource": source, "CopySourceRange": f"bytes=0-{len(PART) + 100}"}
    copied = refused(s3.upload_part_copy, Bucket=bucket, Key="key", UploadId=other, PartNumber=1, **outside)
    assert copied == (400, "InvalidArgument")


def test_big_objects_are_copied_in_parts_by_the_sdk(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=PART * 3)
    config = TransferConfig(multipart_threshold=6 * MEBIBYTE, multipart_chunksize=6 * MEBIBYTE)
    s3.copy({"Bucket": bucket, "Key": "source"}, bucket, "copy", Config=config)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == PART * 3
