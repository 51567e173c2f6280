"""Launchers of both kinds, on this host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Compute
from sagebrush.substrate.settings import Settings

pytest.register_assert_rewrite("sagebrush.testing.launcher_contract")

from sagebrush.testing.launcher_contract import Rig, cleaned  # noqa: E402
from tests.substrate.compute.ordinary_user import users_rig  # noqa: E402


def make_rig(root: Path, mode: str) -> Rig:
    compute = Compute(Settings(data_dir=root / "data", isolation=mode))
    return Rig(compute.launcher, root, mode)


@pytest.fixture
def sandbox_rig(tmp_path: Path) -> Iterator[Rig]:
    with cleaned(make_rig(tmp_path, "sandbox")) as rig:
        yield rig


@pytest.fixture
def process_rig(tmp_path: Path) -> Iterator[Rig]:
    with cleaned(make_rig(tmp_path, "process")) as rig:
        yield rig


@pytest.fixture
def users_sandbox_rig() -> Iterator[Rig]:
    """The sandbox as an ordinary user has it, by user namespaces."""
    with users_rig() as rig, cleaned(rig):
        yield rig
