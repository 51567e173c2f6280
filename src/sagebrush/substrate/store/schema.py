"""The two sets of tables. Rooms declare their tables on these beside the code that owns them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import MetaData

_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Schema:
    """A named set of tables that is migrated as one; ``name`` is also its folder under ``migrations/``.

    ``table_modules`` names every module that declares tables on ``metadata`` (a test says that no other does): a
    database is only ever created from all of them.
    """

    name: str
    table_modules: tuple[str, ...]
    metadata: MetaData = field(default_factory=MetaData)
    #: Where ``env.py`` and the schema's folder lie.
    migrations_root: Path = _MIGRATIONS

    @property
    def version_table(self) -> str:
        """Where the migrated revision is recorded; apart per schema, so that both can live in one PostgreSQL."""
        return f"sagebrush_{self.name}_version"

    @property
    def migrations(self) -> Path:
        """The folder of numbered migrations, ``0001_baseline.py`` first."""
        return self.migrations_root / self.name

    def newest(self) -> str:
        """The newest revision this code knows: revisions are numbered files."""
        return max((file.name[:4] for file in self.migrations.glob("[0-9]*.py")), default="0001")

    def declare_all(self) -> None:
        """Import every module that declares tables."""
        for module in self.table_modules:
            importlib.import_module(module)


#: Everything but S3: resources, identity, telemetry, capacity ...
STATE = Schema(
    "state",
    (
        "sagebrush.substrate.events.tables",
        "sagebrush.substrate.resources.tables",
        "sagebrush.substrate.compute.tables",
        "sagebrush.substrate.identity.tables",
        "sagebrush.substrate.telemetry.tables",
        "sagebrush.training.tables",
        "sagebrush.inference.tables",
        "sagebrush.lineage.tables",
    ),
)
#: The index of the object store; a database of its own, because another process writes it.
OBJECTS = Schema("objects", ("sagebrush.substrate.objects.tables",))
