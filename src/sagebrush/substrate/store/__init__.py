"""The store: one writer with group commit, snapshot reads, forward migrations; SQLite or PostgreSQL.

Start with :class:`Store` (the contract), then ``sqlite.py`` (the writer thread) and ``postgresql.py``. Rooms declare
their tables on :data:`STATE` or :data:`OBJECTS` in a module ``tables.py`` that ``schema.py`` lists.
"""

from sagebrush.substrate.store.opening import open_store
from sagebrush.substrate.store.schema import OBJECTS, STATE, Schema
from sagebrush.substrate.store.store import Statistics, Store, StoreClosed, StoreUnavailable

__all__ = ["OBJECTS", "STATE", "Schema", "Statistics", "Store", "StoreClosed", "StoreUnavailable", "open_store"]
