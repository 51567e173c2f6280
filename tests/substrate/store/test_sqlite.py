"""What the contract cannot see: shared commits, commits that fail, other processes, full disks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.store import StoreUnavailable, sqlite
from sagebrush.substrate.store.sqlite import SqliteStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    # What waits shares a commit however slow the machine is.
    monkeypatch.setattr(sqlite, "BATCH_US", 60_000_000)
    opened = SqliteStore(tmp_path / "state.db")
    opened.write(lambda tx: tx.exec_driver_sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)"))
    opened.write(lambda tx: tx.exec_driver_sql("CREATE TABLE replies (id INTEGER, note INTEGER REFERENCES notes (id))"))
    yield opened
    opened.close()


def note(number: int, text: str = "") -> Callable[[Connection], None]:
    def run(tx: Connection) -> None:
        tx.exec_driver_sql("INSERT INTO notes VALUES (?, ?)", (number, text))

    return run


def notes(connection: Connection) -> list[int]:
    return list(connection.exec_driver_sql("SELECT id FROM notes ORDER BY id").scalars())


class Batch:
    """Holds the writer in a first transaction while others queue behind it, so that they share its commit."""

    def __init__(self, store: SqliteStore):
        self.store = store
        self.inside, self.leave = threading.Event(), threading.Event()
        self.outcomes: dict[int, BaseException | None] = {}
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> Batch:
        self._write(0, self._hold)
        assert self.inside.wait(30)
        return self

    def _hold(self, tx: Connection) -> None:
        note(0)(tx)
        self.inside.set()
        assert self.leave.wait(30)

    def add(self, number: int, fn: Callable[[Connection], None]) -> None:
        self._write(number, fn)

    def _write(self, number: int, fn: Callable[[Connection], None]) -> None:
        def run() -> None:
            try:
                self.store.write(fn)
            except BaseException as error:
                self.outcomes[number] = error
            else:
                self.outcomes[number] = None

        waiting = self.store._queue.qsize()
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()
        while number and self.store._queue.qsize() == waiting:
            assert self.threads[-1].is_alive()

    def __exit__(self, *_: object) -> None:
        self.leave.set()
        for thread in self.threads:
            thread.join()


def test_transactions_that_wait_share_one_commit(store: SqliteStore) -> None:
    before = store.stats()
    with Batch(store) as batch:
        for number in range(1, 21):
            batch.add(number, note(number))
    after = store.stats()
    assert after.transactions - before.transactions == 21
    assert after.commits - before.commits <= 2
    assert store.read(notes) == list(range(21))


def test_a_commit_that_fails_fails_every_caller_of_the_batch_and_the_writer_lives_on(store: SqliteStore) -> None:
    def orphan(tx: Connection) -> None:
        # A deferred foreign key is looked at by COMMIT itself.
        tx.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        tx.exec_driver_sql("INSERT INTO replies VALUES (1, 999)")

    hooks: list[int] = []

    def with_hook(tx: Connection) -> None:
        note(1)(tx)
        store.after_commit(lambda: hooks.append(1))

    with Batch(store) as batch:
        batch.add(1, with_hook)
        batch.add(2, orphan)
        batch.add(3, note(3))
    failed = {number for number, error in batch.outcomes.items() if isinstance(error, StoreUnavailable)}
    assert failed == {0, 1, 2, 3}
    assert "FOREIGN KEY" in str(batch.outcomes[0])
    assert hooks == []
    assert store.read(notes) == []
    store.write(note(4))
    assert store.read(notes) == [4]


def test_a_database_that_is_full_fails_its_caller_and_takes_writes_again_when_there_is_room(store: SqliteStore) -> None:
    store.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 20").fetchall())
    with Batch(store) as batch:
        batch.add(1, note(1, "x" * 200_000))
        batch.add(2, note(2))
    assert batch.outcomes[1] is not None
    acknowledged = [number for number, error in sorted(batch.outcomes.items()) if error is None]
    assert store.read(notes) == acknowledged
    store.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 1000000").fetchall())
    store.write(note(9, "x" * 200_000))
    assert store.read(notes) == [*acknowledged, 9]


def test_a_function_that_ends_the_transaction_is_told_so(store: SqliteStore) -> None:
    with pytest.raises(Fault, match="ended inside"):
        store.write(lambda tx: tx.commit())
    store.write(note(1))
    assert store.read(notes) == [1]


def test_an_interrupted_function_does_not_end_the_writer(store: SqliteStore) -> None:
    def leave(_: Connection) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        store.write(leave)
    store.write(note(1))
    assert store.read(notes) == [1]


def test_a_write_waits_for_another_process_that_holds_the_lock(store: SqliteStore) -> None:
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "connection.execute(\"INSERT INTO notes VALUES (1, 'theirs')\")\n"
        "print('holding', flush=True)\n"
        "sys.stdin.readline()\n"
        "connection.execute('COMMIT')\n"
    )
    command = [sys.executable, "-c", program, str(store.path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "holding\n"
    writer = threading.Thread(target=store.write, args=(note(2),))
    writer.start()
    assert store.read(notes) == []
    other.communicate("go\n")
    writer.join()
    assert store.read(notes) == [1, 2]


def test_a_lock_that_is_never_given_back_fails_the_waiting_writes_only(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.write(lambda tx: tx.exec_driver_sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)"))
    store.write(lambda tx: tx.exec_driver_sql("PRAGMA busy_timeout = 20").fetchall())
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.write(note(1))
    other.execute("COMMIT")
    other.close()
    store.write(note(2))
    assert store.read(notes) == [2]
    store.close()


def test_commits_are_synced_and_readers_have_the_log(store: SqliteStore) -> None:
    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert store.write(pragmas) == ["wal", 2, 1]
    assert store.read(pragmas) == ["wal", 2, 1]


FULL_DISK = """
import resource, signal, sys, pathlib
from sagebrush.substrate.store import StoreUnavailable, sqlite
from sagebrush.substrate.store.sqlite import SqliteStore
from sqlalchemy.exc import OperationalError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = SqliteStore(pathlib.Path(sys.argv[1]))
store.write(lambda tx: tx.exec_driver_sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)"))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
acknowledged = []
for number in range(1000):
    try:
        store.write(lambda tx: tx.exec_driver_sql("INSERT INTO notes VALUES (?, ?)", (number, "x" * 20_000)))
    except (StoreUnavailable, OperationalError):
        break
    acknowledged.append(number)
else:
    raise SystemExit("the disk never filled")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.write(lambda tx: tx.exec_driver_sql("INSERT INTO notes VALUES (5000, '')"))
stored = store.read(lambda c: list(c.exec_driver_sql("SELECT id FROM notes ORDER BY id").scalars()))
assert stored == [*acknowledged, 5000], (stored, acknowledged)
store.close()
print(len(acknowledged))
"""


def test_a_disk_that_refuses_to_grow_fails_honestly_and_recovers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "state.db")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 0
