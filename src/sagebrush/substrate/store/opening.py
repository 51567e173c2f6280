"""Opening a store: which database, and is its schema the one this code knows.

A new database is made from the declared tables and stamped with the newest revision; an older one is migrated with
alembic, which is imported only then. A test holds that both ways lead to the same schema.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import CallerError, Fault
from sagebrush.substrate.store.postgresql import PostgresqlStore
from sagebrush.substrate.store.schema import Schema
from sagebrush.substrate.store.sqlite import SqliteStore
from sagebrush.substrate.store.store import Store

#: PostgreSQL's advisory lock that keeps two starting control planes from creating the tables at once.
_CREATION_LOCK = 0x5A6EB


def open_store(schema: Schema, *, path: Path | None = None, url: str = "", clock: Clock | None = None) -> Store:
    """Open (and, when needed, create or migrate) the database of ``schema``.

    ``url`` empty means SQLite in the file ``path``; else a SQLAlchemy URL of PostgreSQL. Raises CallerError
    ``DataDirectoryTooNew`` for a database that a newer Sagebrush wrote; it is left untouched.
    """
    store: Store
    if url:
        store, where = PostgresqlStore(url, clock), "The PostgreSQL database"
    elif path is not None:
        store, where = SqliteStore(path, clock), str(path)
    else:
        raise Fault("a store needs a path or a URL")
    try:
        _bring_up_to_date(store, schema, where)
    except BaseException:
        store.close()
        raise
    return store


def _bring_up_to_date(store: Store, schema: Schema, where: str) -> None:
    newest = schema.newest()
    have = store.read(lambda connection: revision_of(connection, schema))
    if have is None:
        schema.declare_all()
        have = store.write(lambda tx: _create(tx, schema, newest))
    if have > newest:
        raise CallerError(
            "DataDirectoryTooNew",
            f"{where} was written by a newer Sagebrush (schema {have}; this one knows up to {newest}). "
            "Upgrade Sagebrush or choose another --data-dir.",
        )
    if have != newest:
        from sagebrush.substrate.store.migrating import migrate

        store.write(lambda tx: migrate(tx, schema))


def revision_of(connection: Connection, schema: Schema) -> str | None:
    """The revision a database is at; None when it has no tables of this schema."""
    if connection.dialect.name == "sqlite":
        known = f"SELECT name FROM sqlite_master WHERE name = '{schema.version_table}'"
    else:
        known = f"SELECT to_regclass('{schema.version_table}')"
    if connection.execute(text(known)).scalar() is None:
        return None
    return connection.execute(text(f"SELECT version_num FROM {schema.version_table}")).scalar()


def _create(tx: Connection, schema: Schema, newest: str) -> str:
    """Create all tables unless another process just did; the revision the database is at then."""
    if tx.dialect.name == "postgresql":
        tx.execute(text(f"SELECT pg_advisory_xact_lock({_CREATION_LOCK})"))
    if (have := revision_of(tx, schema)) is not None:
        return have
    schema.metadata.create_all(tx)
    # As alembic would have made it.
    tx.execute(
        text(
            f"CREATE TABLE {schema.version_table} (version_num VARCHAR(32) NOT NULL, "
            f"CONSTRAINT {schema.version_table}_pkc PRIMARY KEY (version_num))"
        )
    )
    tx.execute(text(f"INSERT INTO {schema.version_table} (version_num) VALUES ('{newest}')"))
    return newest
