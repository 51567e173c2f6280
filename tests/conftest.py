"""What tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.store import STATE, Schema, Store, open_store
from sagebrush.testing.postgresql import PostgresqlServer, Unavailable


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A real server, started when the first test needs it; where none can be, those tests are skipped and say why."""
    try:
        server = PostgresqlServer()
    except Unavailable as reason:
        pytest.skip(f"PostgreSQL: {reason}")
    yield server
    server.stop()


@dataclass(frozen=True)
class Database:
    """Where a test's database lies: a path (SQLite) or a URL (PostgreSQL)."""

    path: Path
    url: str = ""

    def open(self, schema: Schema = STATE, clock: Clock | None = None) -> Store:
        """Open it as the product does."""
        return open_store(schema, path=self.path, url=self.url, clock=clock)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of either kind: a test that takes it runs on both."""
    path = tmp_path / "state.db"
    if request.param == "sqlite":
        yield Database(path)
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    url = server.create_database()
    yield Database(path, url)
    server.drop_database(url)
