"""Object stores over real files, with their index on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.store import OBJECTS, Store
from tests.conftest import Database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def index(database: Database) -> Iterator[Store]:
    opened = database.open(OBJECTS)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path, index: Store, clock: ManualClock) -> Iterator[ObjectStore]:
    opened = ObjectStore(tmp_path / "objects", index, clock)
    yield opened
    opened.close()
