"""SQLite: one writer thread, each transaction in a savepoint, one commit and one fsync for all that wait."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from sagebrush.substrate import faultpoints
from sagebrush.substrate.store.store import Store, StoreClosed

T = TypeVar("T")

#: Transactions that share a commit at most, and that may wait before writers have to.
BATCH = 256
QUEUE = 4096
BUSY_TIMEOUT_MS = 30_000

BEFORE_COMMIT = faultpoints.declare("store.before-commit")
AFTER_COMMIT = faultpoints.declare("store.after-commit")


class _Work:
    """One caller's transaction and its outcome."""

    __slots__ = ("done", "error", "fn", "hooks", "result")

    def __init__(self, fn: Callable[[Connection], Any]):
        self.fn = fn
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self.hooks: list[Callable[[], None]] = []


class SqliteStore(Store):
    """A store in one file. Other processes may open the same file; they take turns by SQLite's own locks."""

    dialect = "sqlite"

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.engine = _engine(path)
        self._queue: queue.Queue[_Work | None] = queue.Queue(QUEUE)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write_until_closed, name=f"writer-{path.stem}", daemon=True)
        self._thread.start()

    def write(self, fn: Callable[[Connection], T]) -> T:
        if self._closed.is_set():
            raise StoreClosed("the store is closed")
        if threading.current_thread() is self._thread:
            raise RuntimeError("write inside write: pass the connection on instead")
        work = _Work(fn)
        self._queue.put(work)
        # The writer may have stopped between the check above and the put.
        while not work.done.wait(1.0):
            if not self._thread.is_alive() and not work.done.is_set():
                raise StoreClosed("the store was closed before the transaction ran")
        if work.error is not None:
            raise work.error
        result: T = work.result
        return result

    def read(self, fn: Callable[[Connection], T]) -> T:
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                return fn(connection)
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._queue.put(None)
            self._thread.join()
            self.engine.dispose()

    # -- the writer thread ------------------------------------------------------------------------------------------

    def _write_until_closed(self) -> None:
        with self.engine.connect() as connection:
            closing = False
            while not closing:
                batch = self._next_batch()
                if batch[-1:] == [None]:
                    closing, batch = True, batch[:-1]
                works = [work for work in batch if work is not None]
                if works:
                    self._commit(connection, works)
        while not self._queue.empty():
            late = self._queue.get()
            if late is not None:
                late.error = StoreClosed("the store was closed before the transaction ran")
                late.done.set()

    def _next_batch(self) -> list[_Work | None]:
        """Whatever waits, at least one; ends with None when the store is closing."""
        batch: list[_Work | None] = [self._queue.get()]
        while batch[-1] is not None and len(batch) < BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _commit(self, connection: Connection, works: list[_Work]) -> None:
        """Run the works and commit them as one; a failed commit fails them all, honestly."""
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except Exception as error:
            self._fail(works, error)
            return
        try:
            for work in works:
                self._run_one(connection, work)
            faultpoints.reach(BEFORE_COMMIT)
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            _roll_back(connection)
            self._fail([work for work in works if work.error is None], error)
            for work in works:
                work.done.set()
            return
        self.statistics.commits += 1
        self.statistics.transactions += len(works)
        faultpoints.reach(AFTER_COMMIT)
        for work in works:
            for hook in work.hooks:
                hook()
            work.done.set()

    def _run_one(self, connection: Connection, work: _Work) -> None:
        connection.exec_driver_sql("SAVEPOINT one")
        try:
            work.result, work.hooks = self._run(work.fn, connection)
        except Exception as error:
            work.error = error
            connection.exec_driver_sql("ROLLBACK TO one")
        connection.exec_driver_sql("RELEASE one")

    @staticmethod
    def _fail(works: list[_Work], error: BaseException) -> None:
        for work in works:
            work.error = error
            work.done.set()


def _roll_back(connection: Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    if raw.in_transaction:
        raw.execute("ROLLBACK")


def _engine(path: Path) -> Engine:
    """Explicit transactions (the driver's own are off), WAL, and an fsync for every commit."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=40,
        max_overflow=40,
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        isolation_level="AUTOCOMMIT",
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000, "cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _record: object) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "temp_store=MEMORY",
        ):
            raw.execute(f"PRAGMA {pragma}").fetchall()

    return engine
