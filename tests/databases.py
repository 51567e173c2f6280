"""Where a test's stores lie: SQLite files, or with ``pytest --store postgresql`` databases of a real server.

What runs against one store in production has to run against the other: scaffolds open theirs with :func:`open_at`,
and the same suite runs on both. Programs that tests start learn of the server by the environment.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.store import Schema, Store, open_store

#: The URL of the server's own database where tests run on PostgreSQL.
SERVER = "TESTS_POSTGRESQL"
_PREFIX = "at_"


def open_at(schema: Schema, path: Path, clock: Clock | None = None) -> Store:
    """Open the store that lies at ``path``, or the database that stands for this path."""
    return open_store(schema, path=path, url=url_of(path), clock=clock)


def url_of(path: Path) -> str:
    """The URL of the database that stands for ``path``, made at the first need; empty where tests run on SQLite."""
    server = os.environ.get(SERVER, "")
    if not server:
        return ""
    name = _PREFIX + hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:20]
    _execute(server, f"CREATE DATABASE {name} TEMPLATE template0", fine_if="already exists")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def everything_in(url: str) -> str:
    """Every row of every table of a PostgreSQL database, as text."""
    tables = _execute(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return "\n".join(row for table in tables for row in _execute(url, f"SELECT t::text FROM {table} t"))


def drop_unused() -> None:
    """Drop the databases that nobody is connected to any more."""
    if not (server := os.environ.get(SERVER, "")):
        return
    unused = (
        f"SELECT datname FROM pg_database WHERE datname LIKE '{_PREFIX}%' "
        "AND datname NOT IN (SELECT datname FROM pg_stat_activity WHERE datname IS NOT NULL)"
    )
    for name in _execute(server, unused):
        _execute(server, f"DROP DATABASE IF EXISTS {name}", fine_if="being accessed by other users")


def _execute(server: str, statement: str, *, fine_if: str = "") -> list[str]:
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        try:
            result = connection.execute(text(statement))
        except (OperationalError, ProgrammingError) as error:
            if not fine_if or fine_if not in str(error):
                raise
            return []
        return [str(row[0]) for row in result] if result.returns_rows else []
