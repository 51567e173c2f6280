"""Opening a store: which database, and is its schema the one this code knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.store.postgresql import PostgresqlStore
from sagebrush.substrate.store.schema import Schema
from sagebrush.substrate.store.sqlite import SqliteStore

MIGRATIONS = Path(__file__).parent / "migrations"


def open_store(schema: Schema, *, path: Path, url: str = "") -> SqliteStore | PostgresqlStore:
    """Open (and, when needed, create or migrate) the database of ``schema``.

    ``url`` empty means SQLite in the file ``path``; else a SQLAlchemy URL of PostgreSQL. Raises CallerError
    ``DataDirectoryTooNew`` for a database that a newer Sagebrush wrote; it is left untouched.
    """
    store = PostgresqlStore(url) if url else SqliteStore(path)
    try:
        have, newest = revision_of(store, schema), head(schema)
        if have is not None and have > newest:
            where = f"{path}" if not url else "The PostgreSQL database"
            raise CallerError(
                "DataDirectoryTooNew",
                f"{where} was written by a newer Sagebrush (schema {have}; this one knows up to {newest}). "
                "Upgrade Sagebrush or choose another --data-dir.",
            )
        if have != newest:
            from sagebrush.substrate.store.migrating import migrate

            migrate(store, schema)
    except BaseException:
        store.close()
        raise
    return store


def head(schema: Schema) -> str:
    """The newest revision this code knows: revisions are numbered files, ``0001_baseline.py``."""
    return max(file.name[:4] for file in (MIGRATIONS / schema.name / "versions").glob("[0-9]*.py"))


def revision_of(store: SqliteStore | PostgresqlStore, schema: Schema) -> str | None:
    """The revision a database is at; None when it is empty."""

    def ask(connection: Connection) -> str | None:
        if not inspect(connection).has_table(schema.version_table):
            return None
        row = connection.execute(text(f"SELECT version_num FROM {schema.version_table}")).first()
        return None if row is None else str(row[0])

    return store.read(ask)
