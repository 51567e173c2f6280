from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagebrush.substrate.platform import Platform
from sagebrush.substrate.store import Store
from tests.conftest import Database
from tests.substrate.declared import platform_on


@pytest.fixture
def state(database: Database) -> Iterator[Store]:
    """The state database, once on SQLite and once on PostgreSQL."""
    store = database.open()
    yield store
    store.close()


@pytest.fixture
def platform(state: Store) -> Platform:
    return platform_on(state)
