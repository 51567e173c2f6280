"""Layers over an environment: pip puts into them what is new, and what lies below stays as it is."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Environment, EnvironmentBuildFailed, Environments, EnvironmentSpec
from sagebrush.substrate.compute.environments import images, inventory, layers
from sagebrush.testing.launcher_contract import Rig
from tests.substrate.compute.wheels import make_wheel

_WHICH = "import probe_base, probe_more; print(probe_base.WORD, probe_more.WORD)"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    """Environments whose only one, ``probe``, has probe_base 1.0; a wheelhouse offers more."""
    folder = tmp_path / "wheels"
    folder.mkdir(mode=0o755)
    main = "def main():\n    import probe_more\n    print('script sees', probe_more.WORD)\n"
    make_wheel(folder, "probe_base", f"WORD = 'base 1.0'\n{main}")
    make_wheel(folder, "probe_base", f"WORD = 'base 2.0'\n{main}", version="2.0")
    make_wheel(folder, "probe_more", "WORD = 'more 1.0'", requires=("probe_base",))
    make_wheel(folder, "probe_more", "WORD = 'more 2.0'", version="2.0", requires=("probe_base>=2",))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(images, "lock_text", lambda name: "probe_base==1.0\n")
    return Environments(tmp_path / "environments")


def ensured(environments: Environments, *packages: str) -> Environment:
    return environments.ensure(EnvironmentSpec("probe", "", "", packages=packages), lambda _: None)


def printed(python: Path, *arguments: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return subprocess.run(
        [str(python), *arguments], env=environ, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_pip_takes_what_lies_below_for_installed(base: Environments, tmp_path: Path) -> None:
    environment = ensured(base)
    layers.make(tmp_path / "own", environment.python, [environment.prefix])
    python = tmp_path / "own" / "bin" / "python3"
    printed(python, "-m", "pip", "install", "probe_more==1.0")
    assert printed(python, "-c", _WHICH) == "base 1.0 more 1.0"
    new = {path.name for path in layers.site_packages(tmp_path / "own").iterdir()}
    assert new == {"_below.pth", "__pycache__", "probe_more.py", "probe_more-1.0.dist-info"}


def test_what_is_newer_in_the_layer_hides_what_lies_below_and_leaves_it(base: Environments, tmp_path: Path) -> None:
    environment = ensured(base)
    before = {path: path.stat().st_mtime_ns for path in environment.prefix.rglob("*")}
    layers.make(tmp_path / "own", environment.python, [environment.prefix])
    python = tmp_path / "own" / "bin" / "python3"
    pip = subprocess.run(
        [str(tmp_path / "own" / "bin" / "pip"), "install", "--quiet", "--upgrade", "probe_more"], check=True
    )
    assert pip.returncode == 0
    assert printed(python, "-c", _WHICH) == "base 2.0 more 2.0"
    shared = printed(environment.python, "-c", "import probe_base; print(probe_base.WORD)")
    assert shared == "base 1.0"
    changed = {path for path in environment.prefix.rglob("*") if path.stat().st_mtime_ns != before.get(path)}
    assert {path.name for path in changed if "__pycache__" not in path.parts} <= {"__pycache__", "site-packages"}


def test_an_overlay_is_built_once_and_jobs_see_it_with_programs_from_below(
    base: Environments, sandbox_rig: Rig, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: ensured(base, "probe_more==1.0"), range(4)))
    (environment,) = found
    (overlay,) = environment.overlays
    assert overlay.name.startswith(f"{environment.prefix.name}+")
    program = f"""
import subprocess, sys
{_WHICH}
subprocess.run(["probe_base"], check=True)
print(sys.executable)
"""
    spec = replace(sandbox_rig.spec(program), environment=environment, argv=("python3", "-c", program))
    sandbox_rig.launcher.launch(spec)
    assert sandbox_rig.finish(spec).exit_code == 0, sandbox_rig.printed(spec)
    assert sandbox_rig.printed(spec) == [
        "base 1.0 more 1.0",
        "script sees more 1.0",
        "/opt/ml/.python/bin/python3",
    ]


def test_a_job_installs_what_it_likes_and_the_next_one_sees_nothing_of_it(
    base: Environments, sandbox_rig: Rig, tmp_path: Path
) -> None:
    environment = ensured(base)
    shown = replace(environment, read_only_paths=(*environment.read_only_paths, tmp_path / "wheels"))
    install = "pip install --quiet --upgrade probe_more && probe_base && python -c 'import sys; print(sys.prefix)'"
    variables = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    spec = replace(sandbox_rig.spec("", environment=shown), argv=("/bin/sh", "-c", install), env=variables)
    sandbox_rig.launcher.launch(spec)
    assert sandbox_rig.finish(spec).exit_code == 0, sandbox_rig.printed(spec)
    assert sandbox_rig.printed(spec) == ["script sees more 2.0", "/opt/ml/.python"]
    other = sandbox_rig.spec("import probe_base; print(probe_base.WORD)", name="other", environment=environment)
    sandbox_rig.launcher.launch(other)
    assert sandbox_rig.finish(other).exit_code == 0
    assert sandbox_rig.printed(other) == ["base 1.0"]


def test_an_overlay_that_cannot_be_built_says_which_and_why(base: Environments) -> None:
    with pytest.raises(EnvironmentBuildFailed) as caught:
        ensured(base, "no-such-package==7")
    assert "The environment probe with no-such-package==7 could not be built" in str(caught.value)
    assert "No matching distribution found for no-such-package==7" in str(caught.value)
    assert not [path for path in base.directory.iterdir() if "+" in path.name and not path.name.startswith(".")]


def test_the_inventory_knows_an_overlay_and_its_base(base: Environments) -> None:
    environment = ensured(base, "probe_more==1.0")
    (entry,) = [entry for entry in inventory.entries(base.directory) if entry.base]
    assert (entry.name, entry.base) == ("probe with probe_more==1.0", environment.prefix.name)
    assert entry.requirements == ("probe_more==1.0",)
