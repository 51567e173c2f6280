"""Writes the next migration of each schema whose declared tables its migrations do not reach yet.

``python -m sagebrush.substrate.store.revision NAME``, for example ``iam_groups``. What it writes is a draft: data that
is to move, and columns that a running older process still writes, are for its author to see to. A migration that has
landed is never edited: data directories out there have run it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations.ops import UpgradeOps
from sqlalchemy import create_engine

from sagebrush.substrate.store.migrating import migrate
from sagebrush.substrate.store.schema import OBJECTS, STATE, Schema

_TEMPLATE = '''"""{told}."""

# ruff: noqa
# fmt: off
# mypy: ignore-errors

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade():
    {body}
'''


def draft(schema: Schema, name: str) -> tuple[str, str] | None:
    """File name and text of the schema's next migration; None when its migrations reach the declared tables."""
    schema.declare_all()
    with create_engine("sqlite://").connect() as connection:
        migrate(connection, schema)
        context = MigrationContext.configure(connection, opts={"version_table": schema.version_table})
        operations = produce_migrations(context, schema.metadata).upgrade_ops
    assert isinstance(operations, UpgradeOps)
    if operations.is_empty():
        return None
    newest = schema.newest()
    revision = f"{int(newest) + 1:04d}"
    told = name.replace("_", " ")
    text = _TEMPLATE.format(told=told, revision=revision, before=newest, body=render_python_code(operations))
    return f"{revision}_{name}.py", text


def main(name: str) -> list[Path]:
    """Write what is missing; the files."""
    written = []
    for schema in (STATE, OBJECTS):
        if found := draft(schema, name):
            file = schema.migrations / found[0]
            file.write_text(found[1])
            written.append(file)
    return written


if __name__ == "__main__":
    for path in main(sys.argv[1]):
        print(path)
