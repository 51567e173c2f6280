from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sagebrush.planes.front.limits import Limits
from tests.planes.front.invoking import Inferno
from tests.planes.front.running import RawClient, RunningFront


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory whose path leaves room for Unix socket names."""
    with tempfile.TemporaryDirectory(prefix="sbf-") as name:
        yield Path(name)


@pytest.fixture
def start_front(short_dir: Path) -> Iterator[Callable[..., RunningFront]]:
    """Starts a front door with both planes; keyword arguments are limits."""
    running: list[RunningFront] = []

    def start(tls_context: Any = None, **limits: float) -> RunningFront:
        front = RunningFront(short_dir, Limits(**limits), tls_context)  # type: ignore[arg-type]
        front.control.start()
        front.objects.start()
        running.append(front.start())
        return front

    yield start
    for front in running:
        front.stop()
        for plane in (front.control, front.objects):
            if plane.path.exists():
                plane.stop()


@pytest.fixture
def front(start_front: Callable[..., RunningFront]) -> RunningFront:
    return start_front()


@pytest.fixture
def client(front: RunningFront) -> RawClient:
    return front.client()


@pytest.fixture
def inferno(short_dir: Path) -> Iterator[Callable[..., Inferno]]:
    """Starts a front door that answers invocations; keyword arguments are rules, ``limits`` the door's limits."""
    running: list[Inferno] = []

    def start(limits: dict[str, float] | None = None, **rules: Any) -> Inferno:
        running.append(Inferno(short_dir, rules, limits or {}))
        return running[-1].start()

    yield start
    for each in running:
        each.stop()
