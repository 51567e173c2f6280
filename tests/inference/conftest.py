from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inference.running import Running, start


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A platform for one test."""
    platform = start(tmp_path / "data")
    yield platform
    platform.close()
