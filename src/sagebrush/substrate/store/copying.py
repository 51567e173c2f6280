"""Whole databases from one place to another: a snapshot into a file, and a file into a new database.

A snapshot is always a SQLite file of this code's own tables, whatever database it was taken of: so it can be restored
to either kind, and moves a platform from one to the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.store.opening import open_store, revision_of
from sagebrush.substrate.store.schema import Schema
from sagebrush.substrate.store.store import Store

_ROWS = 1000


def snapshot(schema: Schema, target: Path, *, path: Path, url: str, clock: Clock) -> None:
    """Write what the database of ``schema`` holds at one moment to the new SQLite file ``target``, durably.

    Writers go on meanwhile. Raises CallerError ``DataDirectoryTooNew`` and ``NothingToCopy``.
    """
    if url:
        with closing(open_store(schema, url=url, clock=clock)) as source:
            _copy_rows(schema, source, target, clock)
        return
    if not path.exists():
        raise CallerError("NothingToCopy", f"There is no database {path}.")
    # Opened as the product does first: a database of a newer Sagebrush is refused, an older one brought up to date.
    open_store(schema, path=path, clock=clock).close()
    with closing(sqlite3.connect(path)) as source_file, closing(sqlite3.connect(target)) as copy:
        # In one step, under one read snapshot: in several, every commit of a writer would start it anew.
        source_file.backup(copy)
        # Not WAL: a copy is one file.
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()


def load(schema: Schema, source: Path, *, path: Path, url: str, clock: Clock) -> None:
    """Make the database of ``schema`` at ``path``, or at ``url`` where one is given, from the snapshot ``source``.

    Raises CallerError ``NotEmpty`` when there is one already, and ``DataDirectoryTooNew``. ``source`` may be brought
    up to date on the way: give it a copy.
    """
    if not url:
        if path.exists():
            raise CallerError("NotEmpty", f"There is a database {path} already.")
        source.replace(path)
        open_store(schema, path=path, clock=clock).close()
        return
    with (
        closing(open_store(schema, path=source, clock=clock)) as copy,
        closing(open_store(schema, url=url, clock=clock)) as target,
    ):
        target.write(lambda tx: copy.read(lambda conn: _fill(schema, conn, tx)))


def _copy_rows(schema: Schema, source: Store, target: Path, clock: Clock) -> None:
    with closing(open_store(schema, path=target, clock=clock)) as copy:
        copy.write(lambda tx: source.read(lambda conn: _fill(schema, conn, tx)))
    with closing(sqlite3.connect(target)) as finished:
        finished.execute("PRAGMA journal_mode=DELETE").fetchall()


def _fill(schema: Schema, source: Connection, target: Connection) -> None:
    have, want = revision_of(source, schema), revision_of(target, schema)
    if have != want:
        raise CallerError("SchemasDiffer", f"The copy is of schema {want}, what is copied of schema {have}.")
    for table in schema.metadata.sorted_tables:
        if target.execute(select(func.count()).select_from(table)).scalar_one():
            raise CallerError("NotEmpty", f"The database to restore to is not empty: its table {table.name} has rows.")
        for rows in _batches(source, table):
            target.execute(table.insert(), rows)
        if target.dialect.name == "postgresql":
            _continue_numbers(target, table)


def _batches(source: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    result = source.execution_options(yield_per=_ROWS).execute(select(table))
    for rows in result.partitions(_ROWS):
        yield [dict(row._mapping) for row in rows]


def _continue_numbers(target: Connection, table: Table) -> None:
    """Numbers that PostgreSQL gives go on behind those that were copied."""
    column = table.autoincrement_column
    if column is None:
        return
    sequence = target.execute(
        text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
    ).scalar()
    if sequence is None:
        return
    target.execute(
        text(f'SELECT setval(:sequence, (SELECT coalesce(max("{column.name}"), 0) + 1 FROM {table.name}), false)'),
        {"sequence": sequence},
    )
