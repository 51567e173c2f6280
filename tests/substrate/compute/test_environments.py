"""Images mean environments; environments are built once, whole, by one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sagebrush.substrate.compute import EnvironmentBuildFailed, Environments, EnvironmentSpec
from sagebrush.substrate.compute.environments import building, images, snapshot
from sagebrush.substrate.errors import CallerError
from sagebrush.testing.launcher_contract import Rig
from tests.substrate.compute.wheels import make_wheel

ECR = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
GOT = images.pinned_version("xgboost", "xgboost-cpu")
SKLEARN = images.pinned_version("sklearn", "scikit-learn")


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        (f"{ECR}/sagemaker-xgboost:1.7-1", "1.7-1"),
        ("246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.5-1-cpu-py3", "1.5-1-cpu-py3"),
        ("450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:3.0-5", "3.0-5"),
    ],
)
def test_an_image_is_known_by_its_repository_whatever_account_and_region(
    image: str, asked: str, tmp_path: Path
) -> None:
    spec = Environments(tmp_path).resolve(image)
    notice = f"The image asks for XGBoost {asked}; this platform runs XGBoost {GOT}"
    assert spec == EnvironmentSpec("xgboost", asked, GOT, "xgboost", (notice,))


@pytest.mark.parametrize("tag", ["0.20.0-cpu-py3", "1.2-1-cpu-py3", "1.4-2"])
def test_images_of_scikit_learn_train_and_serve_and_carry_no_algorithm(tag: str, tmp_path: Path) -> None:
    notice = f"The image asks for scikit-learn {tag}; this platform runs scikit-learn {SKLEARN}"
    expected = EnvironmentSpec("sklearn", tag, SKLEARN, None, (notice,))
    assert Environments(tmp_path).resolve(f"{ECR}/sagemaker-scikit-learn:{tag}") == expected
    asked = tag.partition("-")[0]
    with pytest.raises(CallerError, match=f"asks for scikit-learn {asked}; this platform has {SKLEARN}"):
        Environments(tmp_path, exact=True).resolve(f"{ECR}/sagemaker-scikit-learn:{tag}")


@pytest.mark.parametrize("image", [f"scikit-learn:{SKLEARN}", "sagemaker-scikit-learn", f"{ECR}/scikit-learn:1.9-1"])
def test_an_image_of_our_scikit_learn_needs_no_notice(image: str, tmp_path: Path) -> None:
    spec = Environments(tmp_path, exact=True).resolve(image)
    assert spec is not None
    assert (spec.name, spec.got_version, spec.notices) == ("sklearn", SKLEARN, ())


@pytest.mark.parametrize(
    "image",
    [
        f"{ECR}/xgboost:1",
        f"{ECR}/xgboost:latest",
        f"{ECR}/sagemaker-xgboost",
        f"sagemaker-xgboost:{GOT}",
        f"{ECR}/sagemaker-xgboost:3.2-1",
    ],
)
def test_an_image_that_gets_what_it_asks_for_needs_no_notice(image: str, tmp_path: Path) -> None:
    spec = Environments(tmp_path, exact=True).resolve(image)
    assert spec is not None
    assert (spec.name, spec.got_version, spec.notices) == ("xgboost", GOT, ())


@pytest.mark.parametrize("image", [f"{ECR}/sagemaker-base-python-310:1.0", f"{ECR}/sagemaker-base-python-38"])
def test_images_of_plain_python_get_this_interpreter_whatever_the_tag(image: str, tmp_path: Path) -> None:
    spec = Environments(tmp_path, exact=True).resolve(image)
    assert spec == EnvironmentSpec("python", "", platform.python_version())


@pytest.mark.parametrize(
    "image",
    [
        "",
        "python:3.11",
        "ghcr.io/someone/xgboost:1",
        f"{ECR}/mine/sagemaker-xgboost:1",
        f"{ECR}/my-xgboost:1",
        "a b",
        "///",
    ],
)
def test_any_other_image_is_none_of_ours(image: str, tmp_path: Path) -> None:
    assert Environments(tmp_path).resolve(image) is None


def test_where_versions_must_be_exact_another_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=f"asks for XGBoost 1.7; this platform has {GOT}"):
        Environments(tmp_path, exact=True).resolve(f"{ECR}/sagemaker-xgboost:1.7-1")


def test_every_lock_pins_everything_exactly() -> None:
    for name in images.ENVIRONMENT_NAMES:
        lines = [line for line in images.lock_text(name).splitlines() if line and not line.startswith("#")]
        assert len(lines) > 5
        assert all(line.count("==") == 1 and " " not in line for line in lines)


def test_environments_agree_on_the_versions_of_what_they_share() -> None:
    """A model that one environment wrote is read by the other: joblib files are tied to versions."""
    pins = [
        set(filter(lambda line: "==" in line, images.lock_text(name).splitlines())) for name in ("sklearn", "xgboost")
    ]
    names = [{line.partition("==")[0] for line in lines} for lines in pins]
    assert names[0] & names[1] == {line.partition("==")[0] for line in pins[0] & pins[1]} == names[0]
    plain = dict(line.split("==") for line in images.pins("python"))
    shared = dict(line.split("==") for line in images.pins("xgboost"))
    assert {name: plain[name] for name in plain.keys() & shared.keys()}.items() <= shared.items()
    assert "xgboost-cpu" not in names[0]
    assert "boto3" in names[0]


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An air-gapped machine: pip's own configuration names a folder and forbids the index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "sagebrush_probe", "def main():\n    print('probe speaking')\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(images, "lock_text", lambda name: "# a lock\nsagebrush_probe==1.0\n")
    return folder


def test_an_environment_is_built_from_a_wheelhouse_and_works_where_it_lies(wheelhouse: Path, tmp_path: Path) -> None:
    environments = Environments(tmp_path / "environments")
    told: list[str] = []
    assert not environments.is_built("probe")
    environment = environments.ensure(EnvironmentSpec("probe", "1", "1.0"), told.append)
    assert environments.is_built("probe")
    assert told[0] == "Waiting for the environment probe"
    assert any("sagebrush_probe" in line for line in told)
    assert told[-1] == "The environment probe is ready"
    # The script names its interpreter by path, and the environment was built elsewhere and renamed.
    script = subprocess.run(
        [environment.prefix / "bin" / "sagebrush_probe"], capture_output=True, text=True, check=True
    )
    assert script.stdout == "probe speaking\n"
    assert [p.name for p in environments.directory.iterdir() if p.name.startswith(".building")] == []
    told.clear()
    assert environments.ensure(EnvironmentSpec("probe", "1", "1.0"), told.append) == environment
    assert told == []


def test_an_environment_is_built_once_by_many_at_once_and_leftovers_are_cleared(
    wheelhouse: Path, tmp_path: Path
) -> None:
    environments = Environments(tmp_path / "environments")
    leftover = environments.directory / f".building-{environments.path('probe').name}-1"
    leftover.mkdir(parents=True)
    ready: list[str] = []

    def ensure(_: int) -> Path:
        # An object of its own for each, as in several processes: only the file lock is shared.
        return Environments(tmp_path / "environments").ensure(EnvironmentSpec("probe", "", ""), ready.append).prefix

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ensure, range(4)))) == 1
    assert [line for line in ready if line == "The environment probe is ready"] == ["The environment probe is ready"]
    assert not leftover.exists()


def test_a_package_that_pip_cannot_find_is_explained_with_pips_own_words(wheelhouse: Path, tmp_path: Path) -> None:
    (wheelhouse / "sagebrush_probe-1.0-py3-none-any.whl").unlink()
    environments = Environments(tmp_path / "environments")
    with pytest.raises(EnvironmentBuildFailed) as caught:
        environments.ensure(EnvironmentSpec("probe", "", ""), lambda _: None)
    assert "PIP_FIND_LINKS" in str(caught.value)
    assert "No matching distribution found for sagebrush_probe==1.0" in str(caught.value)
    assert not environments.is_built("probe")
    assert [p.name for p in environments.directory.iterdir() if "building" in p.name] == []


def test_the_lock_of_a_build_is_held_until_an_orphaned_pip_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with building.exclusive(path) as lock:
        orphan = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    taken = threading.Event()

    def take() -> None:
        with building.exclusive(path):
            taken.set()

    waiter = threading.Thread(target=take)
    waiter.start()
    assert not taken.wait(0.2)
    orphan.communicate()
    assert taken.wait(30)
    waiter.join()


def test_jobs_can_import_the_runtime_and_the_algorithms_and_nothing_else_of_the_platform(
    wheelhouse: Path, tmp_path: Path, sandbox_rig: Rig
) -> None:
    environment = Environments(tmp_path / "data" / "environments").ensure(
        EnvironmentSpec("probe", "", ""), lambda _: None
    )
    program = """
import sys, sagebrush.runtime, sagebrush.algorithms.xgboost, sagebrush_probe
print(sys.prefix, sagebrush.runtime.__file__)
for module in ("substrate", "server", "training", "cli"):
    try: __import__(f"sagebrush.{module}")
    except ModuleNotFoundError: print("no", module)
"""
    spec = sandbox_rig.spec(program, environment=environment, masked=(tmp_path / "data",))
    sandbox_rig.launcher.launch(spec)
    assert sandbox_rig.finish(spec).exit_code == 0, sandbox_rig.printed(spec)
    first, *refused = sandbox_rig.printed(spec)
    assert first == f"/opt/ml/.python {environment.python_path[0]}/sagebrush/runtime/__init__.py"
    assert refused == ["no substrate", "no server", "no training", "no cli"]


def test_a_changed_runtime_is_another_snapshot_and_the_old_one_stays(tmp_path: Path) -> None:
    package = tmp_path / "sagebrush"
    for part in ("runtime", "algorithms"):
        (package / part).mkdir(parents=True)
        (package / part / "__init__.py").write_text('"""Part."""\n')
    (package / "__init__.py").write_text("")
    (package / "substrate.py").write_text("")
    first = snapshot.ensure_snapshot(tmp_path, package)
    assert snapshot.ensure_snapshot(tmp_path, package) == first
    (package / "runtime" / "facts.json").write_text("{}")
    second = snapshot.ensure_snapshot(tmp_path, package)
    assert first != second
    assert (second / "sagebrush" / "runtime" / "facts.json").exists()
    assert not (second / "sagebrush" / "substrate.py").exists()
    assert first.is_dir()
    assert not os.access(second / "sagebrush" / "runtime" / "facts.json", os.X_OK)
