from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect, text

import sagebrush
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.store import OBJECTS, STATE, Schema, Store, open_store
from sagebrush.substrate.store.migrating import migrate
from sagebrush.substrate.store.postgresql import PostgresqlStore
from sagebrush.substrate.store.revision import draft
from sagebrush.substrate.store.sqlite import SqliteStore
from tests.conftest import Database

SOURCE = Path(sagebrush.__file__).parent
SCHEMAS = [STATE, OBJECTS]


@pytest.fixture
def bare(database: Database) -> Iterator[Store]:
    """A store on an empty database."""
    store: Store = PostgresqlStore(database.url) if database.url else SqliteStore(database.path)
    yield store
    store.close()


def differences(connection: Connection, schema: Schema) -> list[object]:
    """What alembic would change to make the database equal to the declared tables."""
    ours = set(schema.metadata.tables)
    options = {
        "version_table": schema.version_table,
        "include_name": lambda name, kind, _parents: kind != "table" or name in ours,
        "compare_server_default": True,
    }
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, schema.metadata))


def shape(connection: Connection) -> dict[str, object]:
    """Tables, columns, keys and indexes as the database tells them."""
    inspector = inspect(connection)
    return {
        name: (
            [{**column, "type": repr(column["type"])} for column in inspector.get_columns(name)],
            inspector.get_pk_constraint(name),
            sorted(inspector.get_foreign_keys(name), key=repr),
            sorted(inspector.get_unique_constraints(name), key=repr),
            sorted(repr(_told(index)) for index in inspector.get_indexes(name)),
        )
        for name in inspector.get_table_names()
    }


def _told(index: Any) -> dict[str, Any]:
    """An index with its condition as text (SQLite's inspector wraps it)."""
    return {**index, "dialect_options": {key: str(value) for key, value in index.get("dialect_options", {}).items()}}


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_the_migrated_schema_equals_the_declared_tables(bare: Store, schema: Schema) -> None:
    schema.declare_all()
    bare.write(lambda tx: migrate(tx, schema))
    assert bare.read(lambda connection: differences(connection, schema)) == []


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_a_new_database_equals_a_migrated_one(database: Database, schema: Schema, tmp_path: Path) -> None:
    with_tables = database.open(schema)
    created = with_tables.read(shape)
    version = with_tables.read(lambda c: c.execute(text(f"SELECT version_num FROM {schema.version_table}")).scalar())
    if database.url:
        with_tables.write(lambda tx: tx.execute(text("DROP SCHEMA public CASCADE")))
        with_tables.write(lambda tx: tx.execute(text("CREATE SCHEMA public")))
        migrated: Store = with_tables
    else:
        with_tables.close()
        migrated = SqliteStore(tmp_path / "migrated.db")
    migrated.write(lambda tx: migrate(tx, schema))
    assert migrated.read(shape) == created
    assert version == schema.newest()
    migrated.close()


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_no_table_was_declared_without_a_migration(schema: Schema) -> None:
    """Where this fails, tables changed: run ``python -m sagebrush.substrate.store.revision <name>``."""
    assert draft(schema, "nothing") is None


def test_the_next_migration_is_drafted_from_what_is_declared(tmp_path: Path) -> None:
    root = tmp_path / "migrations"
    shutil.copytree(OBJECTS.migrations_root, root, ignore=shutil.ignore_patterns("__pycache__"))
    OBJECTS.declare_all()
    declared = MetaData()
    for table in OBJECTS.metadata.tables.values():
        table.to_metadata(declared)
    Table("shelves", declared, Column("height", Integer, primary_key=True))
    later = Schema(OBJECTS.name, (), declared, root)
    found = draft(later, "library_shelves")
    assert found is not None
    name, written = found
    assert name == f"{int(OBJECTS.newest()) + 1:04d}_library_shelves.py"
    (root / OBJECTS.name / name).write_text(written)
    assert draft(later, "nothing") is None
    store = SqliteStore(tmp_path / "later.db")
    store.write(lambda tx: migrate(tx, later))
    assert "shelves" in store.read(lambda connection: inspect(connection).get_table_names())
    store.close()


def test_every_module_that_declares_tables_is_listed() -> None:
    found = {
        ".".join(("sagebrush", *path.relative_to(SOURCE).with_suffix("").parts)) for path in SOURCE.rglob("tables.py")
    }
    listed = set(STATE.table_modules) | set(OBJECTS.table_modules)
    assert found == listed
    for schema in SCHEMAS:
        declared = set()
        for name in schema.table_modules:
            declared |= {value.name for value in vars(import_module(name)).values() if isinstance(value, Table)}
        assert set(schema.metadata.tables) <= declared


def test_both_schemas_live_in_one_database(database: Database) -> None:
    for schema in (*SCHEMAS, *SCHEMAS):
        store = database.open(schema)
        assert set(schema.metadata.tables) <= set(store.read(lambda c: inspect(c).get_table_names()))
        store.close()


def test_a_database_of_a_newer_sagebrush_is_refused_and_left_alone(database: Database) -> None:
    store = database.open(OBJECTS)
    store.write(lambda tx: tx.execute(text(f"UPDATE {OBJECTS.version_table} SET version_num = '9999'")))
    store.close()
    with pytest.raises(CallerError) as caught:
        database.open(OBJECTS)
    assert caught.value.code == "DataDirectoryTooNew"
    where = "The PostgreSQL database" if database.url else str(database.path)
    assert caught.value.message == (
        f"{where} was written by a newer Sagebrush (schema 9999; this one knows up to {OBJECTS.newest()}). "
        "Upgrade Sagebrush or choose another --data-dir."
    )


def test_an_older_database_is_migrated_and_keeps_its_rows(database: Database, tmp_path: Path) -> None:
    database.open(OBJECTS).close()
    root = tmp_path / "migrations"
    shutil.copytree(OBJECTS.migrations_root, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / OBJECTS.name / "0002_colour.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        'revision = "0002"\n'
        'down_revision = "0001"\n'
        "def upgrade():\n"
        '    op.add_column("buckets", sa.Column("colour", sa.Text(), server_default="green", nullable=False))\n'
    )
    later = Schema(OBJECTS.name, OBJECTS.table_modules, OBJECTS.metadata, root)
    store = database.open(OBJECTS)
    values = "('b', '123456789012', 'us-east-1', 1, '{}')"
    store.write(
        lambda tx: tx.execute(text(f"INSERT INTO buckets (name, account, region, created_us, body) VALUES {values}"))
    )
    store.close()
    for _ in range(2):
        upgraded = database.open(later)
        rows = upgraded.read(lambda c: c.execute(text("SELECT name, colour FROM buckets")).all())
        upgraded.close()
        assert [tuple(row) for row in rows] == [("b", "green")]
    with pytest.raises(CallerError, match="newer Sagebrush"):
        database.open(OBJECTS)


def test_a_migration_that_fails_leaves_the_database_as_it_was(database: Database, tmp_path: Path) -> None:
    database.open(OBJECTS).close()
    root = tmp_path / "migrations"
    shutil.copytree(OBJECTS.migrations_root, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / OBJECTS.name / "0002_broken.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        'revision = "0002"\n'
        'down_revision = "0001"\n'
        "def upgrade():\n"
        '    op.create_table("half", sa.Column("id", sa.Integer()))\n'
        '    raise RuntimeError("half way")\n'
    )
    with pytest.raises(RuntimeError, match="half way"):
        database.open(Schema(OBJECTS.name, OBJECTS.table_modules, OBJECTS.metadata, root))
    store = database.open(OBJECTS)
    assert "half" not in store.read(lambda c: inspect(c).get_table_names())
    store.close()


def test_opening_a_current_database_does_not_import_alembic(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_store(OBJECTS, path=path).close()
    program = (
        "import sys, pathlib\n"
        "from sagebrush.substrate.store import OBJECTS, open_store\n"
        "open_store(OBJECTS, path=pathlib.Path(sys.argv[1])).close()\n"
        "print([name for name in sys.modules if name.startswith(('alembic', 'mako'))])\n"
    )
    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("from_baseline", [False, True])
def test_several_processes_may_create_or_migrate_one_database_at_once(
    database: Database, tmp_path: Path, from_baseline: bool
) -> None:
    if from_baseline:
        root = tmp_path / "migrations"
        shutil.copytree(
            STATE.migrations_root, root, ignore=shutil.ignore_patterns("__pycache__", "000[2-9]*", "00[1-9]*")
        )
        place = database.path.with_name("state.db")
        first: Store = PostgresqlStore(database.url) if database.url else SqliteStore(place)
        first.write(lambda tx: migrate(tx, Schema(STATE.name, (), MetaData(), root)))
        first.close()
    program = (
        "import sys, pathlib\n"
        "from sagebrush.substrate.store import OBJECTS, STATE, open_store, migrating\n"
        "STATE.declare_all(), OBJECTS.declare_all()\n"
        "print('loaded', flush=True)\n"
        "sys.stdin.read()\n"
        "for schema in (STATE, OBJECTS):\n"
        "    place = pathlib.Path(sys.argv[1]).with_name(schema.name + '.db')\n"
        "    open_store(schema, path=place, url=sys.argv[2]).close()\n"
    )
    command = [sys.executable, "-c", program, str(database.path), database.url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == b"loaded\n"
    for process in processes:
        process.stdin.close()
        process.stdin = None
    outcomes = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], outcomes
    store = database.open(STATE)
    assert store.stats().transactions == 0
    store.close()


def test_a_database_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    previous = os.umask(0o022)
    try:
        open_store(OBJECTS, path=path).close()
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o600
