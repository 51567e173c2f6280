"""PostgreSQL: each transaction its own, serialisable, tried again when the database says it could not be ordered."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.store.store import Store, StoreClosed

T = TypeVar("T")

#: serialization_failure and deadlock_detected: the transaction did not happen, and may be run again.
RETRYABLE = {"40001", "40P01"}
ATTEMPTS = 50


class PostgresqlStore(Store):
    """A store on a PostgreSQL server; many control planes may share it."""

    dialect = "postgresql"

    def __init__(self, url: str):
        super().__init__()
        self.engine = create_engine(
            url, isolation_level="SERIALIZABLE", pool_size=20, max_overflow=30, pool_pre_ping=True
        )
        self._closed = False

    def write(self, fn: Callable[[Connection], T]) -> T:
        if self._closed:
            raise StoreClosed("the store is closed")
        for attempt in range(ATTEMPTS):
            try:
                with self.engine.begin() as connection:
                    result, hooks = self._run(fn, connection)
                break
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in RETRYABLE:
                    raise
                # Spread the rivals out, a little more with each round.
                time.sleep(random.uniform(0, 0.002 * (attempt + 1)))
        else:
            raise Fault(f"the transaction was not serialisable in {ATTEMPTS} attempts")
        self.statistics.commits += 1
        self.statistics.transactions += 1
        for hook in hooks:
            hook()
        return result

    def read(self, fn: Callable[[Connection], T]) -> T:
        # A read-only snapshot cannot fail to serialise at this level, and costs no predicate locks.
        with self.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            try:
                return fn(connection)
            finally:
                connection.rollback()

    def close(self) -> None:
        self._closed = True
        self.engine.dispose()
