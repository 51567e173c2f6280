"""What nobody needs is removed, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.objects.sweeping import GRACE_US, SHOWN_US
from sagebrush.substrate.objects.syncing import Pending
from sagebrush.testing.objects_contract import ACCOUNT, BIG, PART, SMALL, completed, content

GRACE = GRACE_US / 1e6
LOOK = SHOWN_US / 1e6


@pytest.fixture
def bucket(store: ObjectStore) -> str:
    return store.create_bucket("bucket", account=ACCOUNT, region="us-east-1").name


def files_under(root: Path) -> list[Path]:
    return sorted(path for path in (root / "files").rglob("*") if path.is_file())


def test_a_replaced_file_stays_for_its_grace(
    store: ObjectStore, bucket: str, clock: ManualClock, tmp_path: Path
) -> None:
    replaced, deleted = store.put(bucket, "a", BIG), store.put(bucket, "b", BIG)
    current = store.put(bucket, "a", BIG)
    store.delete(bucket, "b")
    clock.advance(GRACE - 1)
    store.sweep()
    assert store.path(replaced).exists()
    assert store.path(deleted).exists()
    clock.advance(2)
    store.sweep()
    assert files_under(tmp_path / "objects") == [store.path(current)]


def test_a_pinned_file_stays_until_it_is_let_go(store: ObjectStore, bucket: str, clock: ManualClock) -> None:
    big, small = store.put(bucket, "big", BIG), store.put(bucket, "small", SMALL)
    for info in (big, small):
        store.pin([info], "job")
        store.delete(bucket, info.key)
    for _ in range(4):
        clock.advance(GRACE + LOOK)
        store.sweep()
    paths = [store.path(big), store.path(small)]
    assert [path.read_bytes() for path in paths] == [BIG, SMALL]
    store.unpin("job")
    for _ in range(2):
        clock.advance(GRACE + LOOK)
        store.sweep()
    assert [path.exists() for path in paths] == [False, False]


def test_the_copy_of_a_small_object_lives_as_long_as_the_object(
    store: ObjectStore, bucket: str, clock: ManualClock
) -> None:
    kept, gone = store.put(bucket, "kept", SMALL), store.put(bucket, "gone", SMALL)
    paths = [store.path(kept), store.path(gone)]
    store.delete(bucket, "gone")
    store.sweep()
    assert paths[1].exists()
    for _ in range(2):
        clock.advance(LOOK + 1)
        store.sweep()
    assert [path.exists() for path in paths] == [True, False]


def test_the_parts_of_a_finished_upload_are_removed_at_once(store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    upload = store.uploads.create(bucket, "key")
    put = store.uploads.put_part
    parts = [
        put(bucket, "key", upload.upload_id, 1, PART, size=len(PART)),
        # Not the size of the first: it gets a file of its own, and the object is joined.
        put(bucket, "key", upload.upload_id, 2, PART + b"x", size=len(PART) + 1),
    ]
    info = store.uploads.complete(bucket, "key", upload.upload_id, completed(parts))
    assert files_under(tmp_path / "objects") == [store.path(info)]
    aborted = store.uploads.create(bucket, "other")
    put(bucket, "other", aborted.upload_id, 1, PART, size=len(PART))
    store.uploads.abort(bucket, "other", aborted.upload_id)
    assert files_under(tmp_path / "objects") == [store.path(info)]


def test_equal_parts_become_the_object_where_they_lie(store: ObjectStore, bucket: str) -> None:
    upload = store.uploads.create(bucket, "key")
    parts = [
        store.uploads.put_part(bucket, "key", upload.upload_id, number, PART, size=len(PART)) for number in (2, 1, 3)
    ]
    parts.sort(key=lambda part: part.number)
    info = store.uploads.complete(bucket, "key", upload.upload_id, completed(parts))
    assert {part.file for part in parts} == {info.file}
    assert oct(store.path(info).stat().st_mode)[-3:] == "444"


LEAVE_ORPHANS = """
import os, pathlib, sys
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.store import OBJECTS, open_store
index = open_store(OBJECTS, path=pathlib.Path(sys.argv[1]), url=sys.argv[2])
store = ObjectStore(pathlib.Path(sys.argv[3]), index, SystemClock())
big = os.urandom(100_000)
store.put("bucket", "kept", big)
unfinished = store.incoming()
unfinished.write(big)
received = store.incoming()
received.write(big)
received.finish()
print("ready", flush=True)
sys.stdin.readline()
os._exit(1)
"""


def test_orphans_of_a_dead_process_are_swept_and_those_of_a_living_one_are_not(
    store: ObjectStore, bucket: str, tmp_path: Path, database: object
) -> None:
    arguments = [str(database.path), database.url, str(tmp_path / "objects")]  # type: ignore[attr-defined]
    child = subprocess.Popen(
        [sys.executable, "-c", LEAVE_ORPHANS, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    own = store.incoming()
    own.write(BIG)
    store.sweep()
    assert len(files_under(tmp_path / "objects")) == 4
    child.stdin.write("\n")
    child.stdin.close()
    assert child.wait() == 1
    child.stdout.close()
    store.sweep()
    assert len(files_under(tmp_path / "objects")) == 2
    assert len(content(store, bucket, "kept")) == 100_000
    store.commit(bucket, "own", own.finish())
    assert content(store, bucket, "own") == BIG


def test_a_directory_that_was_swept_away_is_made_again(store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    first = store.put(bucket, "key", BIG)
    path = store.path(first)
    path.unlink()
    path.parent.rmdir()
    second = store.put(bucket, "key", BIG)
    assert store.path(second).read_bytes() == BIG


def test_puts_at_the_same_time_share_their_syncs(
    store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = store._files.group
    began, all_there = threading.Event(), threading.Event()
    flush = group._flush

    def held(batch: list[Pending]) -> None:
        # The first sync takes as long as the other puts need to arrive: how fast the disk is does not matter.
        if not began.is_set():
            began.set()
            assert all_there.wait(60)
        flush(batch)

    monkeypatch.setattr(group, "_flush", held)
    with ThreadPoolExecutor(16) as pool:
        first = pool.submit(store.put, bucket, "0", BIG)
        assert began.wait(60)
        rest = [pool.submit(store.put, bucket, f"{number}", BIG) for number in range(1, 16)]
        deadline = time.monotonic() + 60
        while len(group._waiting) < 15:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        all_there.set()
        for put in (first, *rest):
            put.result()
    assert store.syncs == (2, 16)
