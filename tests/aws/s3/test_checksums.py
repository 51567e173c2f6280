"""Checksums: verified on the way in, kept, and given back."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from typing import Any

import pytest

from tests.aws.s3.errors import refused
from tests.aws.s3.running import RunningPlane

ALGORITHMS = [
    "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128",
]  # fmt: skip
BODIES = {"small": os.urandom(100), "big": os.urandom(1_500_000)}


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("size", BODIES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_is_verified_kept_and_given_back(s3: Any, bucket: str, algorithm: str, size: str) -> None:
    """The client computes and sends the checksum, and checks the answer's again when it reads."""
    put = s3.put_object(Bucket=bucket, Key="key", Body=BODIES[size], ChecksumAlgorithm=algorithm)
    value = put[f"Checksum{algorithm}"]
    got = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert got["Body"].read() == BODIES[size]
    assert (got[f"Checksum{algorithm}"], got["ChecksumType"]) == (value, "FULL_OBJECT")
    plain = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="DISABLED")
    assert f"Checksum{algorithm}" not in plain


@pytest.mark.parametrize("size", BODIES)
def test_a_wrong_checksum_is_refused_and_nothing_kept(s3: Any, bucket: str, size: str) -> None:
    body = BODIES[size]
    wrong_md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    put = s3.put_object
    assert refused(put, Bucket=bucket, Key="k", Body=body, ContentMD5=wrong_md5) == (400, "BadDigest")
    assert refused(put, Bucket=bucket, Key="k", Body=body, ContentMD5="nonsense") == (400, "InvalidDigest")
    assert refused(put, Bucket=bucket, Key="k", Body=body, ChecksumCRC32=crc32(b"other")) == (400, "BadDigest")
    assert refused(put, Bucket=bucket, Key="k", Body=body, ChecksumCRC32="AAAA") == (400, "InvalidRequest")
    assert refused(s3.head_object, Bucket=bucket, Key="k") == (404, "404")
    right = base64.b64encode(hashlib.md5(body).digest()).decode()
    put(Bucket=bucket, Key="k", Body=body, ContentMD5=right, ChecksumCRC32=crc32(body))


def test_without_a_checksum_the_server_computes_its_own(plane: RunningPlane, bucket: str) -> None:
    quiet = plane.client(request_checksum_calculation="when_required")
    quiet.put_object(Bucket=bucket, Key="key", Body=b"123456789")
    got = quiet.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    # The check value of CRC-64/NVME.
    assert base64.b64decode(got["ChecksumCRC64NVME"]).hex() == "ae8b14860a799888"


PART = os.urandom(5 << 20)
TAIL = b"tail"


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("CRC32", "COMPOSITE"),
        ("CRC32", "FULL_OBJECT"),
        ("CRC32C", "COMPOSITE"),
        ("CRC32C", "FULL_OBJECT"),
        ("CRC64NVME", "FULL_OBJECT"),
        ("SHA1", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
    ],
)
def test_multipart_checksums_of_both_types(s3: Any, bucket: str, algorithm: str, kind: str) -> None:
    member = f"Checksum{algorithm}"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key", ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert (upload["ChecksumAlgorithm"], upload["ChecksumType"]) == (algorithm, kind)
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload["UploadId"]}
    parts = []
    for number, body in ((1, PART), (2, TAIL)):
        sent = s3.upload_part(**where, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
        parts.append({"PartNumber": number, "ETag": sent["ETag"], member: sent[member]})
    wrong = [parts[0], {**parts[1], member: parts[0][member]}]
    assert refused(s3.complete_multipart_upload, **where, MultipartUpload={"Parts": wrong}) == (400, "InvalidPart")
    listed = s3.list_parts(**where)
    assert [part[member] for part in listed["Parts"]] == [part[member] for part in parts]
    done = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}, ChecksumType=kind)
    if kind == "FULL_OBJECT":
        whole = s3.put_object(Bucket=bucket, Key="whole", Body=PART + TAIL, ChecksumAlgorithm=algorithm)
        assert done[member] == whole[member]
    else:
        assert done[member].endswith("-2")
    assert done["ChecksumType"] == kind
    assert s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")["Body"].read() == PART + TAIL


def test_a_whole_object_checksum_is_compared_at_the_end(s3: Any, bucket: str) -> None:
    kind = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key", **kind)["UploadId"]
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    sent = s3.upload_part(**where, PartNumber=1, Body=TAIL)
    arguments = {**where, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": sent["ETag"]}]}}
    wrong = refused(s3.complete_multipart_upload, **arguments, ChecksumCRC32=crc32(b"other"))
    assert wrong == (400, "BadDigest")
    s3.complete_multipart_upload(**arguments, ChecksumCRC32=crc32(TAIL))


def test_types_that_do_not_go_together_are_refused(s3: Any, bucket: str) -> None:
    create = s3.create_multipart_upload
    for algorithm, kind in (("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")):
        answer = refused(create, Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind)
        assert answer == (400, "InvalidRequest")
    upload = create(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    where = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **where, ChecksumAlgorithm="CRC32") == (400, "InvalidRequest")
