"""Forward migrations with alembic; imported only when there is something to migrate."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from sagebrush.substrate.store.schema import Schema


def migrate(tx: Connection, schema: Schema) -> None:
    """Bring a database to the newest revision, all or nothing: DDL is transactional in both databases."""
    config = Config()  # there is no ini file
    config.set_main_option("script_location", str(schema.migrations_root))
    config.set_main_option("version_locations", str(schema.migrations))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = tx
    config.attributes["version_table"] = schema.version_table
    command.upgrade(config, "head")
