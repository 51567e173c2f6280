"""kill -9 at each point of a write: acknowledged objects are whole and there, everything else is as if never tried."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.objects.tables import trash
from sagebrush.substrate.store import OBJECTS
from sagebrush.testing.objects_contract import ACCOUNT
from tests.databases import open_at

#: Writes until it is killed: small and big objects, overwrites, copies, deletions and multipart uploads. Each
#: acknowledged state of a key goes to standard output as "key md5", or "key -" when it is gone.
PROGRAM = """
import hashlib, os, pathlib, sys
from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.objects import CompletedPart, ObjectStore
from sagebrush.substrate.store import OBJECTS
from tests.databases import open_at

root = pathlib.Path(sys.argv[1])
index = open_at(OBJECTS, root / "index.db")
store = ObjectStore(root / "objects", index, SystemClock())
faultpoints.arm(os.environ)

def say(key, data):
    digest = hashlib.md5(data).hexdigest() if data is not None else "-"
    os.write(1, f"{key} {digest}\\n".encode())

part = os.urandom(5 << 20)
for turn in range(1000):
    for name, size in (("small", 100), ("big", 100_000)):
        data = os.urandom(size)
        os.write(1, f"{name} ? {hashlib.md5(data).hexdigest()}\\n".encode())
        info = store.put("bucket", name, data)
        say(name, data)
        os.write(1, f"copy-{name} ? {info.etag}\\n".encode())
        store.copy(info, "bucket", f"copy-{name}")
        say(f"copy-{name}", data)
    tail = os.urandom(1000)
    upload = store.uploads.create("bucket", "multi")
    one = store.uploads.put_part("bucket", "multi", upload.upload_id, 1, part, size=len(part))
    # In every other turn the second part has no announced size: its own file, and a join at the end.
    two = store.uploads.put_part("bucket", "multi", upload.upload_id, 2, tail, size=len(tail) if turn % 2 else None)
    parts = [CompletedPart(p.number, p.etag) for p in (one, two)]
    os.write(1, f"multi ? {hashlib.md5(part + tail).hexdigest()}\\n".encode())
    store.uploads.complete("bucket", "multi", upload.upload_id, parts)
    say("multi", part + tail)
    os.write(1, b"small ? -\\n")
    store.delete("bucket", "small")
    say("small", None)
    store.sweep()
"""

POINTS = [
    "objects.after-file-sync",
    "objects.after-index-commit",
    "objects.after-part-sync",
    "objects.after-part-commit",
    "objects.after-assembly",
    "objects.after-complete",
    "objects.after-delete-commit",
    "store.before-commit",
    "store.after-commit",
]


@pytest.mark.fault
@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_loses_nothing_acknowledged_and_tears_nothing(tmp_path: Path, point: str, count: int) -> None:
    assert point in faultpoints.declared()
    index = open_at(OBJECTS, tmp_path / "index.db")
    setup = ObjectStore(tmp_path / "objects", index, ManualClock())
    setup.create_bucket("bucket", account=ACCOUNT, region="us-east-1")
    setup.close()
    index.close()
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=os.environ | {faultpoints.VARIABLE: f"{point}:{count}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    acknowledged, attempted = _read(result.stdout)

    index = open_at(OBJECTS, tmp_path / "index.db")
    store = ObjectStore(tmp_path / "objects", index, ManualClock(start_us=1 << 60))
    store.sweep()
    found = {info.key: hashlib.md5(store.path(info).read_bytes()).hexdigest() for info in store.iterate("bucket")}
    for key, digest in acknowledged.items():
        assert found.get(key, "-") in {digest, attempted.get(key, digest)}, key
    assert found.keys() <= acknowledged.keys() | attempted.keys()
    _check_no_orphans(store, tmp_path)
    store.close()
    index.close()


SWEEPING = """
import os, pathlib, sys
from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.store import OBJECTS
from tests.databases import open_at

root, clock = pathlib.Path(sys.argv[1]), ManualClock()
store = ObjectStore(root / "objects", open_at(OBJECTS, root / "index.db"), clock)
store.create_bucket("bucket", account="123456789012", region="us-east-1")
for content in (b"first", b"second"):
    store.put("bucket", "key", content * 10_000)
clock.advance(3600)
faultpoints.arm(os.environ)
store.sweep()
"""


@pytest.mark.fault
def test_a_kill_between_the_removal_of_a_file_and_its_record_leaves_nothing(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SWEEPING, str(tmp_path)],
        env=os.environ | {faultpoints.VARIABLE: "objects.after-unlink"},
        check=False,
        timeout=120,
    )
    assert result.returncode == -signal.SIGKILL
    index = open_at(OBJECTS, tmp_path / "index.db")
    assert len(index.read(lambda conn: conn.execute(select(trash)).all())) == 1
    store = ObjectStore(tmp_path / "objects", index, ManualClock(start_us=1 << 60))
    store.sweep()
    assert index.read(lambda conn: conn.execute(select(trash)).all()) == []
    assert store.path(store.head("bucket", "key")).read_bytes() == b"second" * 10_000
    _check_no_orphans(store, tmp_path)
    store.close()
    index.close()


def _read(output: str) -> tuple[dict[str, str], dict[str, str]]:
    """The last acknowledged state of each key, and the one that was being written when the kill came."""
    acknowledged: dict[str, str] = {}
    attempted: dict[str, str] = {}
    for line in output.splitlines():
        key, *rest = line.split()
        if rest[0] == "?":
            attempted = {key: rest[1]}
        else:
            acknowledged[key] = rest[0]
            attempted = {}
    return acknowledged, attempted


def _check_no_orphans(store: ObjectStore, root: Path) -> None:
    for upload in store.uploads.in_progress("bucket"):
        store.uploads.abort("bucket", upload.key, upload.upload_id)
    named = {store.path(info) for info in store.iterate("bucket")}
    lying = {path for path in (root / "objects" / "files").rglob("*") if path.is_file()}
    assert lying == {path for path in named if "shown" not in path.parts}
