"""One object plane for all tests of a process; each test has a bucket of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.s3.running import RunningPlane, start_plane


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    running = start_plane(Path(tmp_path_factory.mktemp("plane")))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def s3(plane: RunningPlane) -> Any:
    return plane.client()


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name
