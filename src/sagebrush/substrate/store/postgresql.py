"""PostgreSQL: each transaction its own, serialisable, tried again when the database says it could not be ordered."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import Clock, SystemClock
from sagebrush.substrate.store.sqlite import AFTER_COMMIT, BEFORE_COMMIT
from sagebrush.substrate.store.store import Hook, Statistics, Store, StoreClosed, StoreUnavailable

T = TypeVar("T")

#: serialization_failure and deadlock_detected: the transaction did not happen, and may be run again.
RETRYABLE = {"40001", "40P01"}
#: unique_violation: two serialisable transactions that both looked first can get this instead of 40001 (PostgreSQL
#: manual, 13.5); once alone, a second look finds the other's row. duplicate_table, duplicate_column, duplicate_object:
#: the same of two processes that create or migrate one database.
LOOK_AGAIN = {"23505", "42P07", "42701", "42710"}
ATTEMPTS = 50

_NOW = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


class PostgresqlStore(Store):
    """A store on a PostgreSQL server; many control planes may share it."""

    dialect = "postgresql"

    def __init__(self, url: str, clock: Clock | None = None):
        super().__init__(clock or SystemClock())
        address = make_url(url)
        if address.drivername == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
        engine = create_engine(address, pool_size=20, max_overflow=40, pool_pre_ping=True)
        self._engine = engine
        self._writers = engine.execution_options(isolation_level="SERIALIZABLE")
        # A read-only snapshot cannot fail to serialise at this level, and costs no predicate locks.
        self._readers = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._closed = False
        # Guards what follows: closing waits for what is under way.
        self._state = threading.Condition()
        self._under_way = 0
        self._count = 0
        # Losers of a race try again one after the other, so that many threads of this process do not lose for ever.
        self._losers = threading.Lock()

    def write(self, fn: Callable[[Connection], T]) -> T:
        self._refuse_nesting()
        self._refuse_write_in_read()
        with self._use():
            try:
                result, hooks = self._once(fn)
            except DBAPIError as error:
                if not _retryable(error):
                    raise
                with self._losers:
                    result, hooks = self._until_ordered(fn)
        with self._state:
            self._count += 1
        self._run_hooks(hooks)
        return result

    def read(self, fn: Callable[[Connection], T]) -> T:
        self._refuse_nesting()
        outer: Connection | None = getattr(self._local, "reading", None)
        if outer is not None:
            return fn(outer)
        with self._use(), self._readers.connect() as connection:
            self._local.reading = connection
            try:
                return fn(connection)
            finally:
                self._local.reading = None
                connection.rollback()

    def stats(self) -> Statistics:
        return Statistics(self._count, self._count)

    def lease_time_us(self, connection: Connection) -> int:
        return int(connection.execute(_NOW).scalar_one())

    def close(self) -> None:
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: self._under_way == 0)
        self._engine.dispose()

    @contextmanager
    def _use(self) -> Iterator[None]:
        with self._state:
            if self._closed:
                raise StoreClosed("the store is closed")
            self._under_way += 1
        try:
            yield
        finally:
            with self._state:
                self._under_way -= 1
                self._state.notify_all()

    def _once(self, fn: Callable[[Connection], T]) -> tuple[T, list[Hook]]:
        with self._writers.begin() as connection:
            outcome = self._run(fn, connection)
            faultpoints.reach(BEFORE_COMMIT)
        faultpoints.reach(AFTER_COMMIT)
        return outcome

    def _until_ordered(self, fn: Callable[[Connection], T]) -> tuple[T, list[Hook]]:
        for attempt in range(ATTEMPTS):
            try:
                return self._once(fn)
            except DBAPIError as error:
                # A violation that stays when nobody of this process is in the way is the function's own.
                if not _retryable(error) or (_state(error) in LOOK_AGAIN and attempt > 1):
                    raise
            # Spread rivals in other processes out, a little more with each round.
            time.sleep(random.uniform(0, 0.002 * (attempt + 1)))
        raise StoreUnavailable(f"the transaction was not serialisable in {ATTEMPTS} attempts")


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _retryable(error: DBAPIError) -> bool:
    return _state(error) in RETRYABLE | LOOK_AGAIN
