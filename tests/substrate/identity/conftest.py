"""An identity on a real store and a real key file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.identity import Identity, ensure_seed
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import STATE, Store
from tests.databases import open_at


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def open_identity(tmp_path: Path, clock: ManualClock, settings: Settings) -> Iterator[Callable[[], Identity]]:
    """Opens identities on one data directory, as several processes do."""
    stores: list[Store] = []

    def opened() -> Identity:
        store = open_at(STATE, tmp_path / "state.db", clock)
        stores.append(store)
        ensure_seed(store, settings, clock)
        return Identity(store=store, clock=clock, settings=settings, key_file=tmp_path / "keys" / "platform.key")

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def identity(open_identity: Callable[[], Identity]) -> Identity:
    return open_identity()
