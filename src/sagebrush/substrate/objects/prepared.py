"""Statements of the paths that every small object takes, compiled once per database.

SQLAlchemy prepares each execution anew (parameter processing, result metadata, event hooks). For single-row statements
on plain columns that is most of their cost, and there is nothing in it that they need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import ClauseElement, Connection, CursorResult
from sqlalchemy.sql.compiler import SQLCompiler


class Prepared:
    """A statement whose parameters are passed to the driver as they are."""

    def __init__(self, statement: ClauseElement, names: tuple[str, ...] | None = None):
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}

    def run(self, conn: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Execute with these values; more than are needed do no harm."""
        sql, order = self._compiled.get(conn.dialect.name) or self._compile(conn)
        if order is None:
            return conn.exec_driver_sql(sql, dict(values))
        return conn.exec_driver_sql(sql, tuple(values[name] for name in order))

    def _compile(self, conn: Connection) -> tuple[str, tuple[str, ...] | None]:
        compiled = cast(SQLCompiler, self._statement.compile(dialect=conn.dialect, column_keys=self._names))
        order = compiled.positiontup if compiled.positional else None
        made = (str(compiled), tuple(order) if order is not None else None)
        self._compiled[conn.dialect.name] = made
        return made
