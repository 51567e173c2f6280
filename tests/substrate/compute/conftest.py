"""Launchers of both kinds, on this host; an environment that jobs start warm in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Compute, Environment, Environments, EnvironmentSpec
from sagebrush.substrate.compute.environments import images, preloads
from sagebrush.substrate.settings import Settings

pytest.register_assert_rewrite("sagebrush.testing.launcher_contract")

from sagebrush.testing.launcher_contract import Rig, cleaned  # noqa: E402
from tests.substrate.compute.ordinary_user import users_rig  # noqa: E402
from tests.substrate.compute.warm_jobs import JOB, THREAD, Jobs  # noqa: E402
from tests.substrate.compute.wheels import make_wheel  # noqa: E402


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


@pytest.fixture
def users_process_rig() -> Iterator[Rig]:
    """No sandbox, as an ordinary user has it."""
    with users_rig("process") as rig, cleaned(rig):
        yield rig


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Environment, Path]:
    """An environment with modules to preload and one to run, and the wheelhouse it came from."""
    root = tmp_path_factory.mktemp("built")
    folder = root / "wheels"
    folder.mkdir()
    make_wheel(folder, "probe_job", JOB)
    make_wheel(folder, "probe_base", "import multiprocessing.process\nWORD = 'base 1.0'\n")
    make_wheel(folder, "probe_base", "WORD = 'base 2.0'\n", version="2.0")
    make_wheel(folder, "probe_thread", THREAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder))
        patch.setattr(images, "lock_text", lambda name: "probe_job==1.0\nprobe_base==1.0\nprobe_thread==1.0\n")
        made = Environments(root / "environments").ensure(EnvironmentSpec("probe", "", ""), lambda _: None)
    return made, folder


@pytest.fixture
def environment(built: tuple[Environment, Path], monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.setattr(preloads, "modules_of", lambda name: ("probe_base", "sagebrush.runtime.script"))
    return built[0]


@pytest.fixture
def jobs(rig: Rig, environment: Environment) -> Jobs:
    return Jobs(rig, environment)
