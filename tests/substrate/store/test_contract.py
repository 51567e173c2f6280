from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagebrush.substrate.store import OBJECTS, Store
from sagebrush.testing.store_contract import StoreContract
from tests.conftest import Database


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    opened = database.open(OBJECTS)
    yield opened
    opened.close()


class TestStore(StoreContract):
    """On SQLite and on PostgreSQL."""
