"""A full disk is said in S3's words, tears nothing, and is over when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.store import OBJECTS, open_store
from sagebrush.testing.objects_contract import ACCOUNT, code_of, content

MEBIBYTE = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "sagebrush-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.fault
@pytest.mark.parametrize("size", [20_000, 3 * MEBIBYTE], ids=["in the index", "in files"])
def test_a_full_disk_refuses_writes_and_keeps_what_it_has(small_disk: Path, size: int) -> None:
    clock = ManualClock()
    index = open_store(OBJECTS, path=small_disk / "index.db")
    store = ObjectStore(small_disk / "objects", index, clock)
    store.create_bucket("bucket", account=ACCOUNT, region="us-east-1")
    written: dict[str, bytes] = {}
    refused = _fill(store, written, size)
    assert (refused.code, refused.status) == ("InsufficientStorage", 507)
    assert len(written) >= 3
    assert [info.key for info in store.iterate("bucket")] == sorted(written)
    assert all(content(store, "bucket", key) == data for key, data in written.items())
    if size > MEBIBYTE:
        upload = store.uploads.create("bucket", "multi")
        assert code_of(_send_part, store, upload.upload_id) == "InsufficientStorage"
        store.uploads.abort("bucket", "multi", upload.upload_id)
        store.delete_many("bucket", list(written)[:2])
        clock.advance(3600)
        store.sweep()
        store.put("bucket", "again", os.urandom(size))
    store.close()
    index.close()


def _fill(store: ObjectStore, written: dict[str, bytes], size: int) -> CallerError:
    for number in range(2000):
        data = os.urandom(size)
        try:
            store.put("bucket", f"{number:04d}", data)
        except CallerError as error:
            return error
        written[f"{number:04d}"] = data
    raise AssertionError("the disk never was full")


def _send_part(store: ObjectStore, upload_id: str) -> None:
    for number in range(1, 10):
        store.uploads.put_part("bucket", "multi", upload_id, number, os.urandom(5 * MEBIBYTE), size=5 * MEBIBYTE)
