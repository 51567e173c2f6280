"""The store: one writer with group commit, snapshot reads, forward migrations; SQLite or PostgreSQL.

Start with :class:`Store` (the contract), then ``sqlite.py`` (the writer thread) and ``postgresql.py``.
"""

from sagebrush.substrate.store.opening import open_store
from sagebrush.substrate.store.schema import OBJECTS, STATE, Schema
from sagebrush.substrate.store.store import Store, StoreClosed

__all__ = ["OBJECTS", "STATE", "Schema", "Store", "StoreClosed", "open_store"]
