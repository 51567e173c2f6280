"""The plane killed and the disk full, seen by clients over HTTP."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from sagebrush.substrate import faultpoints
from tests.aws.s3.errors import refused
from tests.aws.s3.running import start_plane

MEBIBYTE = 1 << 20


@pytest.mark.fault
@pytest.mark.parametrize("point", ["objects.after-file-sync:40", "store.after-commit:60", "objects.after-complete:2"])
def test_what_the_plane_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path, point: str) -> None:
    plane = start_plane(tmp_path, {faultpoints.VARIABLE: point})
    plane.client().create_bucket(Bucket="bucket")
    acknowledged: dict[str, str] = {}

    def write(worker: int) -> None:
        s3 = plane.client()
        for turn in range(200):
            for key, size in (("small", 1000), ("big", 200_000)):
                body = os.urandom(size)
                try:
                    s3.put_object(Bucket="bucket", Key=f"{key}/{worker}/{turn}", Body=body)
                except (BotoCoreError, ClientError):
                    return
                acknowledged[f"{key}/{worker}/{turn}"] = hashlib.md5(body).hexdigest()
            if not _upload(s3, f"multi/{worker}/{turn}", acknowledged):
                return

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plane.process.wait(timeout=30) == -9
    assert len(acknowledged) >= 5

    again = start_plane(tmp_path)
    s3 = again.client()
    for key, digest in acknowledged.items():
        assert hashlib.md5(s3.get_object(Bucket="bucket", Key=key)["Body"].read()).hexdigest() == digest
    again.stop()


def _upload(s3: Any, key: str, acknowledged: dict[str, str]) -> bool:
    first, last = os.urandom(5 * MEBIBYTE), os.urandom(100)
    where = {"Bucket": "bucket", "Key": key}
    try:
        upload = s3.create_multipart_upload(**where)["UploadId"]
        parts = [
            {
                "PartNumber": number,
                "ETag": s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)["ETag"],
            }
            for number, body in ((1, first), (2, last))
        ]
        s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    except (BotoCoreError, ClientError):
        return False
    acknowledged[key] = hashlib.md5(first + last).hexdigest()
    return True


@pytest.mark.fault
def test_no_room_is_said_in_words_and_leaves_the_plane_working(tmp_path: Path) -> None:
    plane = start_plane(tmp_path, file_bytes=4 * MEBIBYTE)
    s3 = plane.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=b"old")
    too_big = os.urandom(6 * MEBIBYTE)
    assert refused(s3.put_object, Bucket="bucket", Key="key", Body=too_big) == (507, "InsufficientStorage")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="multi")["UploadId"]
    where = {"Bucket": "bucket", "Key": "multi", "UploadId": upload}
    assert refused(s3.upload_part, **where, PartNumber=1, Body=too_big) == (507, "InsufficientStorage")
    assert "Parts" not in s3.list_parts(**where)
    s3.abort_multipart_upload(**where)
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"old"
    s3.put_object(Bucket="bucket", Key="key", Body=b"new")
    assert [path for path in (tmp_path / "objects" / "files").rglob("*") if path.is_file()] == []
    plane.stop()
