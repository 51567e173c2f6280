"""One platform for all journeys of a test process; journeys use names of their own and never reset it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import RunningPlatform, discard, start_platform
from tests.journeys.serving import Endpoints, trained

#: Seconds. The first journey that needs an environment or a client's SDK in it waits for its installation.
_LONGEST = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LONGEST))


@pytest.fixture(scope="session")
def platform() -> Iterator[RunningPlatform]:
    running = start_platform(SAGEBRUSH_CAPACITY_CPUS="32", SAGEBRUSH_CAPACITY_MEMORY_GIB="64")
    running.client("s3").create_bucket(Bucket="sagemaker-journeys")
    yield running
    discard(running)


@pytest.fixture(scope="session")
def sagemaker(platform: RunningPlatform) -> Any:
    return platform.client("sagemaker")


@pytest.fixture(scope="session")
def s3(platform: RunningPlatform) -> Any:
    return platform.client("s3")


@pytest.fixture
def job_name() -> str:
    return f"journey-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def endpoints(platform: RunningPlatform) -> Iterator[Endpoints]:
    """A way to deploy; whatever a test leaves is deleted."""
    made = Endpoints(platform)
    yield made
    made.clear()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Real artefacts by scikit-learn and xgboost with what they predict."""
    return trained(tmp_path_factory.mktemp("models"))
