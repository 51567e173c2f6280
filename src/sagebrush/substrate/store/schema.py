"""The two sets of tables. Rooms declare their tables on these beside the code that owns them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import MetaData


@dataclass(frozen=True, slots=True)
class Schema:
    """A named set of tables that is migrated as one; ``name`` is also its folder under ``migrations/``."""

    name: str
    metadata: MetaData = field(default_factory=MetaData)

    @property
    def version_table(self) -> str:
        """Where the migrated revision is recorded; apart per schema, so that both can live in one PostgreSQL."""
        return f"sagebrush_{self.name}_version"


#: Everything but S3: resources, identity, telemetry, capacity ...
STATE = Schema("state")
#: The index of the object store; a database of its own, because another process writes it.
OBJECTS = Schema("objects")
