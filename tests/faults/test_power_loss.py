"""The power fails at any moment: what was acknowledged is on the disk, and what is on it can be opened and is whole.

``power_loss/`` says how. Each program is recorded once and its disk looked at after many of its operations: as strictly
as can be (nothing but what was synced), and with any part of the rest.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.compute.shim import record as shim_record
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.store import OBJECTS, open_store
from tests.faults.power_loss.disk import Disk
from tests.faults.power_loss.recording import Recording, build_recorder, record

pytestmark = pytest.mark.fault
SEED = 20261123
MOMENTS = 40

_SAYING = """
import os, pathlib, sys, threading
root = pathlib.Path(sys.argv[1])
acknowledged = os.open(root / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

def say(line):
    os.write(acknowledged, f"{line}\\n".encode())

def together(work, count):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""

OBJECTS_PROGRAM = (
    _SAYING
    + """
import hashlib
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.objects import CompletedPart, ObjectStore
from sagebrush.substrate.store import OBJECTS, open_store

index = open_store(OBJECTS, path=root / "index.db")
store = ObjectStore(root / "objects", index, SystemClock())
store.create_bucket("bucket", account="123456789012", region="us-east-1")

def digest(data):
    return hashlib.md5(data).hexdigest()

def change(key, value, act):
    say(f"{key} ? {value}")
    result = act()
    say(f"{key} {value}")
    return result

def work(number):
    part = os.urandom(5 << 20)
    for turn in range(6):
        for name, size in ((f"small/{number}", 100), (f"big/{number}", 100_000), (f"kept/{number}/{turn}", 20_000)):
            data = os.urandom(size)
            info = change(name, digest(data), lambda: store.put("bucket", name, data))
            change(f"copy/{name}", digest(data), lambda: store.copy(info, "bucket", f"copy/{name}"))
        change(f"small/{number}", "-", lambda: store.delete("bucket", f"small/{number}"))
        if turn % 3 == 0:
            multi, tail = f"multi/{number}", os.urandom(1000)
            upload = store.uploads.create("bucket", multi).upload_id
            one = store.uploads.put_part("bucket", multi, upload, 1, part, size=len(part))
            two = store.uploads.put_part("bucket", multi, upload, 2, tail, size=len(tail) if turn else None)
            listed = [CompletedPart(p.number, p.etag) for p in (one, two)]
            change(multi, digest(part + tail), lambda: store.uploads.complete("bucket", multi, upload, listed))
        store.sweep()

together(work, 3)
store.close()
index.close()
"""
)

STORE_PROGRAM = (
    _SAYING
    + """
from sqlalchemy import text
from sagebrush.substrate.store import OBJECTS, open_store

store = open_store(OBJECTS, path=root / "index.db")

def put(number):
    def run(tx):
        for name in ("first", "second"):
            tx.execute(text("INSERT INTO pins (holder, file) VALUES (:n, :f)"), {"n": str(number), "f": name * 200})
    return run

def work(first):
    for number in range(first * 1000, first * 1000 + 150):
        say(f"{number} ? there")
        store.write(put(number))
        say(f"{number} there")

together(work, 4)
store.close()
"""
)

RECORDS_PROGRAM = (
    _SAYING
    + """
from sagebrush.substrate.compute.shim import record
from sagebrush.substrate.identity.private_files import replace_file

attempt = root / "attempt"
attempt.mkdir()
descriptor = os.open(root, os.O_RDONLY)
os.fsync(descriptor)
directory = os.open(attempt, os.O_RDONLY)
for number in range(20):
    say(f"state ? {number}")
    record.write(directory, {"number": number, "text": "x" * number})
    say(f"state {number}")
    if number == 0:
        record.reserve(directory)
    say(f"key ? {number}")
    replace_file(root / "key", f"{number:0500}".encode(), mode=0o600)
    say(f"key {number}")
say("state ? 20")
record.write_last(directory, {"number": 20, "text": "the end"})
say("state 20")
"""
)


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled recorder."""
    return build_recorder(tmp_path_factory.mktemp("recorder"))


def at_many_moments(recording: Recording, directory: Path, look: Callable[[Path, Expected], None]) -> None:
    """Cut the power at random moments and right behind acknowledgements, and ``look`` at what is left."""
    luck = random.Random(SEED)
    operations = recording.operations
    moments = sorted(luck.sample(range(1, len(operations)), MOMENTS))
    for number, until in enumerate((*moments, len(operations))):
        disk, expected = Disk(operations, recording.root, until), Expected(recording.said(until))
        for chance in (None, random.Random(SEED + number)):
            left = directory / "left"
            left.mkdir()
            disk.leave(left, chance)
            try:
                look(left, expected)
            except Exception as error:
                error.add_note(f"power loss after operation {until} of {len(operations)}, unsynced kept: {chance}")
                raise
            shutil.rmtree(left)


class Expected:
    """What the program's lines allow of each key: the value last acknowledged, or one that was being written."""

    def __init__(self, lines: list[str]):
        self.acknowledged: dict[str, str] = {}
        self.attempted: dict[str, str] = {}
        for line in lines:
            key, *rest = line.split()
            if rest[0] == "?":
                self.attempted[key] = rest[1]
            else:
                self.acknowledged[key] = rest[0]
                self.attempted.pop(key, None)

    def check(self, found: dict[str, str]) -> None:
        """``found`` has every acknowledged value, and no other but what was being written."""
        for key in self.acknowledged.keys() | self.attempted.keys() | found.keys():
            allowed = {self.acknowledged.get(key, "-"), self.attempted.get(key, self.acknowledged.get(key, "-"))}
            assert found.get(key, "-") in allowed, key


def test_objects(recorder: Path, tmp_path: Path) -> None:
    def look(left: Path, expected: Expected) -> None:
        (left / "objects").mkdir(exist_ok=True)
        index = open_store(OBJECTS, path=left / "index.db")
        assert index.read(lambda conn: conn.execute(text("PRAGMA integrity_check")).scalar()) == "ok"
        store = ObjectStore(left / "objects", index, ManualClock(start_us=1 << 60))
        store.sweep()
        if store.list_buckets("123456789012"):
            infos = list(store.iterate("bucket"))
            expected.check({i.key: hashlib.md5(store.path(i).read_bytes()).hexdigest() for i in infos})
            for upload in store.uploads.in_progress("bucket"):
                store.uploads.abort("bucket", upload.key, upload.upload_id)
            named = {store.path(info) for info in infos}
            lying = {path for path in (left / "objects" / "files").rglob("*") if path.is_file()}
            assert lying == {path for path in named if "shown" not in path.parts}
        else:
            assert not expected.acknowledged
        store.close()
        index.close()

    at_many_moments(record(recorder, OBJECTS_PROGRAM, tmp_path), tmp_path, look)


def test_the_database(recorder: Path, tmp_path: Path) -> None:
    def look(left: Path, expected: Expected) -> None:
        store = open_store(OBJECTS, path=left / "index.db")
        assert store.read(lambda conn: conn.execute(text("PRAGMA integrity_check")).scalar()) == "ok"
        rows = store.read(lambda conn: conn.execute(text("SELECT holder, count(*) FROM pins GROUP BY holder")).all())
        assert {count for _, count in rows} <= {2}, "a transaction is there by half"
        expected.check({holder: "there" for holder, _ in rows})
        store.close()

    at_many_moments(record(recorder, STORE_PROGRAM, tmp_path), tmp_path, look)


def test_records_of_attempts_and_private_files(recorder: Path, tmp_path: Path) -> None:
    def look(left: Path, expected: Expected) -> None:
        found = {}
        state, key = left / "attempt" / shim_record.NAME, left / "key"
        if state.exists():
            found["state"] = str(json.loads(state.read_bytes())["number"])
        if key.exists():
            assert len(key.read_bytes()) == 500
            found["key"] = str(int(key.read_bytes()))
        expected.check(found)

    at_many_moments(record(recorder, RECORDS_PROGRAM, tmp_path), tmp_path, look)


@pytest.mark.parametrize("forgotten", ["S", "D"])
def test_a_program_that_forgets_to_sync_is_found_out(recorder: Path, tmp_path: Path, forgotten: str) -> None:
    """The test of the tests: without the syncs of files, or of directories, the same record shows losses."""
    whole = record(recorder, RECORDS_PROGRAM, tmp_path)
    careless = Recording(whole.root, [o for o in whole.operations if o.kind != forgotten])

    def look(left: Path, expected: Expected) -> None:
        key = left / "key"
        assert "key" not in expected.acknowledged or (key.exists() and len(key.read_bytes()) == 500)

    with pytest.raises(AssertionError):
        at_many_moments(careless, tmp_path, look)
