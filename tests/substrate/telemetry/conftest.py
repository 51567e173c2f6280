from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.store import STATE, Store
from sagebrush.substrate.telemetry import Telemetry
from tests.databases import open_at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_at(STATE, tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000_000_000)


@pytest.fixture
def telemetry(store: Store, clock: ManualClock) -> Telemetry:
    return Telemetry(store, clock)
