"""Forward migrations with alembic; imported only when there is something to migrate."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from sagebrush.substrate.store.opening import MIGRATIONS
from sagebrush.substrate.store.postgresql import PostgresqlStore
from sagebrush.substrate.store.schema import Schema
from sagebrush.substrate.store.sqlite import SqliteStore


def configuration(schema: Schema) -> Config:
    """Alembic's configuration for one schema; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS / schema.name))
    config.attributes["version_table"] = schema.version_table
    return config


def migrate(store: SqliteStore | PostgresqlStore, schema: Schema) -> None:
    """Bring a database to the newest revision, all or nothing."""

    def upgrade(connection: Connection) -> None:
        config = configuration(schema)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    store.write(upgrade)
