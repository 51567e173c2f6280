from __future__ import annotations

from sagebrush.testing.objects_contract import ObjectStoreContract


class TestLocalObjects(ObjectStoreContract):
    """Files in a directory, the index in SQLite and in PostgreSQL."""
