from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.store import STATE, Store
from sagebrush.substrate.store.sqlite import SqliteStore
from sagebrush.substrate.telemetry import Telemetry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = SqliteStore(tmp_path / "state.db")
    opened.write(STATE.metadata.create_all)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000_000_000)


@pytest.fixture
def telemetry(store: Store, clock: ManualClock) -> Telemetry:
    return Telemetry(store, clock)
