"""SQLite: one writer thread, each transaction in a savepoint, one commit and one fsync for all that wait.

For those who write hot paths, measured: a SQLAlchemy Core statement kept as a module constant (with ``bindparam``)
costs about 2.5 times a ``connection.exec_driver_sql``, a statement built anew for each call 10 times; an empty ``read``
costs less than half a statement, and ``write``'s own share is hidden behind the fsync it shares.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import Clock, SystemClock
from sagebrush.substrate.errors import Fault
from sagebrush.substrate.store.store import Hook, Statistics, Store, StoreClosed, StoreUnavailable

T = TypeVar("T")

#: Transactions that share a commit at most, and how long a batch may grow while others wait for its fsync.
BATCH = 256
BATCH_US = 50_000
#: Transactions that may wait; callers are synchronous, so this bounds threads, and beyond it we refuse.
QUEUE = 4096
#: How long SQLite waits for another process's write lock.
BUSY_TIMEOUT_MS = 30_000
#: Idle connections kept for readers.
IDLE_READERS = 64

BEFORE_COMMIT = faultpoints.declare("store.before-commit")
AFTER_COMMIT = faultpoints.declare("store.after-commit")


class _Work:
    """One caller's transaction and its outcome; ``done`` is held until there is one."""

    __slots__ = ("done", "error", "fn", "hooks", "result")

    def __init__(self, fn: Callable[[Connection], Any]):
        self.fn = fn
        self.done = threading.Lock()
        self.done.acquire()
        self.result: Any = None
        self.error: BaseException | None = None
        self.hooks: list[Hook] = []


class SqliteStore(Store):
    """A store in one file. Other processes may open the same file; they take turns by SQLite's own locks."""

    dialect = "sqlite"

    def __init__(self, path: Path, clock: Clock | None = None):
        super().__init__(clock or SystemClock())
        self.path = path
        self._commits = 0
        self._transactions = 0
        _create(path)
        self._engine = _engine(path)
        self._idle: list[Connection] = []
        self._closed = False
        # Held while queueing, so that nothing can be queued behind the closing mark.
        self._door = threading.Lock()
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._connection = self._engine.connect()
        self._raw: sqlite3.Connection = self._connection.connection.dbapi_connection  # type: ignore[assignment]
        # Begins SQLAlchemy's own notion of a transaction, which never ends: so it, and alembic, know they are in one.
        self._connection.exec_driver_sql("SELECT 1")
        self._thread = threading.Thread(target=self._write_until_closed, name=f"writer-{path.stem}", daemon=True)
        self._thread.start()

    def write(self, fn: Callable[[Connection], T]) -> T:
        self._refuse_nesting()
        self._refuse_write_in_read()
        work = _Work(fn)
        with self._door:
            if self._closed:
                raise StoreClosed("the store is closed")
            if self._queue.qsize() >= QUEUE:
                raise StoreUnavailable(f"{QUEUE} transactions are waiting for {self.path.name} already")
            self._queue.put(work)
        work.done.acquire()
        if work.error is not None:
            try:
                raise work.error
            finally:
                del work  # the error's traceback refers to this frame
        result: T = work.result
        return result

    def read(self, fn: Callable[[Connection], T]) -> T:
        self._refuse_nesting()
        outer: Connection | None = getattr(self._local, "reading", None)
        if outer is not None:
            return fn(outer)
        connection = self._reader()
        raw: Any = connection.connection.dbapi_connection
        raw.execute("BEGIN")
        self._local.reading = connection
        try:
            return fn(connection)
        finally:
            self._local.reading = None
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            self._put_back(connection)

    def stats(self) -> Statistics:
        return Statistics(self._commits, self._transactions)

    def lease_time_us(self, connection: Connection) -> int:
        return self.clock.monotonic_us()

    def close(self) -> None:
        with self._door:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._connection.close()
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()

    # -- readers ----------------------------------------------------------------------------------------------------

    def _reader(self) -> Connection:
        if self._closed:
            raise StoreClosed("the store is closed")
        try:
            return self._idle.pop()
        except IndexError:
            connection = self._engine.connect()
            connection.exec_driver_sql("PRAGMA query_only=ON")
            return connection

    def _put_back(self, connection: Connection) -> None:
        if self._closed or len(self._idle) >= IDLE_READERS:
            connection.close()
        else:
            self._idle.append(connection)

    # -- the writer thread ------------------------------------------------------------------------------------------

    def _write_until_closed(self) -> None:
        while (first := self._queue.get()) is not None:
            works = [first]
            try:
                closing = self._commit_with_all_that_wait(works)
            except BaseException as error:
                self._roll_back()
                failure = StoreUnavailable(f"{self.path.name} could not commit: {error}")
                failure.__cause__ = error
                for work in works:
                    work.error = work.error or failure
                    work.hooks = []
                closing = False
            for work in works:
                self._run_hooks(work.hooks)
                work.done.release()
            if closing:
                return

    def _commit_with_all_that_wait(self, works: list[_Work]) -> bool:
        """Run the first of ``works`` and whatever else waits, adding it to ``works``; commit them as one.

        Returns whether the closing mark was met. Raises when nothing of the batch was committed.
        """
        closing = False
        self._raw.execute("BEGIN IMMEDIATE")
        until = self.clock.monotonic_us() + BATCH_US
        self._run_one(works[0])
        while len(works) < BATCH and self.clock.monotonic_us() < until:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                break
            if work is None:
                closing = True
                break
            works.append(work)
            self._run_one(work)
        faultpoints.reach(BEFORE_COMMIT)
        try:
            self._raw.execute("COMMIT")
        except BaseException:
            if closing:
                self._queue.put(None)
            raise
        faultpoints.reach(AFTER_COMMIT)
        self._commits += 1
        self._transactions += len(works)
        return closing

    def _run_one(self, work: _Work) -> None:
        """Run one transaction in its savepoint. Raises when SQLite gave up the whole batch, not only this one."""
        self._raw.execute("SAVEPOINT work")
        try:
            work.result, work.hooks = self._run(work.fn, self._connection)
            self._still_in_transaction(None)
        except BaseException as error:
            work.error = error
            # A full disk makes SQLite roll back everything by itself: then the batch is lost, and all must hear it.
            self._still_in_transaction(error)
            self._raw.execute("ROLLBACK TO work")
        self._raw.execute("RELEASE work")

    def _still_in_transaction(self, cause: BaseException | None) -> None:
        if not self._raw.in_transaction:
            raise Fault("the transaction ended inside write's function") from cause

    def _roll_back(self) -> None:
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")


def _create(path: Path) -> None:
    """Make the file readable by nobody else before anything is in it: it holds secrets."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _engine(path: Path) -> Engine:
    """Explicit transactions (the driver's own are off), WAL, and an fsync for every commit."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000, "cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _record: Any) -> None:
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "journal_size_limit=67108864",
        ):
            raw.execute(f"PRAGMA {pragma}").fetchall()

    return engine
