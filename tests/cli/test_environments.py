"""``sagebrush environments``: what there is, and what old versions have left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Environments
from tests.cli.test_command import sagebrush


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Environments of an older version, and what a build that was cut off has left."""
    for name, content in (("sklearn-0123456789ab", "sklearn"), ("xgboost-0123456789ab", "xgboost")):
        (tmp_path / "e" / name / "lib").mkdir(parents=True)
        (tmp_path / "e" / name / "lib" / "module.py").write_bytes(b"x" * 3_000_000)
        manifest = {"name": content, "python": "3.11.2", "requirements": ["# a comment", "numpy==1.0"]}
        (tmp_path / "e" / name / "sagebrush-environment.json").write_text(json.dumps(manifest))
    for name in (".building-xgboost-0123456789ab-77", "runtime-000000000000", "somebody-elses"):
        (tmp_path / "e" / name).mkdir()
    return tmp_path / "e"


@pytest.fixture
def user(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs from one of the old environments."""
    environ = os.environ | {"PYTHONPATH": str(directory / "sklearn-0123456789ab" / "lib")}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as process:
        yield process
        process.kill()


def run(directory: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    place = {"SAGEBRUSH_ENVIRONMENTS_DIR": str(directory)}
    return sagebrush("environments", *words, data_dir=directory.parent / "data", **place, **environ)


def test_the_list_shows_what_there_is_and_what_could_be(directory: Path) -> None:
    current = Environments(directory)
    lines = [line.split() for line in run(directory, "list").stdout.splitlines()]
    assert lines[0] == ["NAME", "STATE", "SERVES", "SIZE", "PATH"]
    found = {line[-1]: line[:3] for line in lines[1:]}
    assert found[str(current.path("xgboost"))] == ["xgboost", "not", "built"]
    assert found[str(directory / "sklearn-0123456789ab")] == ["sklearn", "old", "-"]
    assert found[str(directory / ".building-xgboost-0123456789ab-77")][:3] == ["xgboost-0123456789ab", "cut", "off"]
    assert str(directory / "somebody-elses") not in found
    assert "2.9 MiB" in run(directory, "list").stdout


def test_what_is_old_goes_unless_something_runs_from_it(directory: Path, user: subprocess.Popen[bytes]) -> None:
    before = sorted(directory.iterdir())
    planned = run(directory, "prune", "--dry-run").stdout
    assert sorted(directory.iterdir()) == before
    assert "would go" in planned
    done = run(directory, "prune")
    assert f"kept     {directory / 'sklearn-0123456789ab'}: in use by 1 processes, {user.pid} among them" in done.stdout
    assert "2.9 MiB freed" in done.stdout
    assert sorted(path.name for path in directory.iterdir()) == ["sklearn-0123456789ab", "somebody-elses"]
    user.kill()
    user.wait()
    run(directory, "prune")
    assert [path.name for path in directory.iterdir()] == ["somebody-elses"]


def test_an_environment_shows_its_packages_and_images(directory: Path) -> None:
    shown = run(directory, "show", "sklearn").stdout
    assert "scikit-learn==" in shown
    assert "sagemaker-scikit-learn" in shown
    assert "not built yet" in shown
    assert "xgboost-cpu" not in shown


def test_wrong_names_and_builds_that_fail_say_so(directory: Path) -> None:
    wrong = run(directory, "build", "tensorflow")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert (
        wrong.stderr == "sagebrush: There is no environment tensorflow; there are: xgboost, sklearn, python, pytorch\n"
    )
    failed = run(directory, "build", "xgboost", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(directory))
    assert failed.returncode == 1
    assert "pip found no source for a package. Without internet, point pip at a wheelhouse" in failed.stderr
    assert "Building the environment xgboost: creating it" in failed.stdout
    assert "Traceback" not in failed.stderr


def test_an_overlay_goes_when_nobody_has_asked_for_it_for_a_month(directory: Path) -> None:
    base = Environments(directory).path("python").name
    for name, days in (("asked-for", 29), ("forgotten", 31)):
        manifest = directory / f"{base}+{name}" / "sagebrush-environment.json"
        manifest.parent.mkdir()
        told = {"name": "python with sagemaker", "python": "3.11.2", "requirements": [], "base": base}
        manifest.write_text(json.dumps(told))
        used = time.time() - days * 86_400
        os.utime(manifest, (used, used))
    run(directory, "prune")
    assert [path.name for path in directory.iterdir() if "+" in path.name] == [f"{base}+asked-for"]
