"""The rules of the house that a linter of imports cannot hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sagebrush"
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools", "base"}
ML_FRAMEWORKS = {"numpy", "pandas", "scipy", "sklearn", "xgboost", "torch", "pyarrow"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    offenders = [p for p in SOURCE.rglob("*") if p.stem in FORBIDDEN_NAMES and p.suffix in {"", ".py"}]
    assert SOURCE.is_dir()
    assert offenders == []


def test_import_contracts_are_kept() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    "process", ["sagebrush.server.control", "sagebrush.server.object_plane", "sagebrush.server.front"]
)
def test_platform_processes_import_no_ml_framework(process: str) -> None:
    program = f"import sys, {process}; print(sorted(m.split('.')[0] for m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(eval(result.stdout))
    assert "sagebrush" in loaded
    assert loaded & ML_FRAMEWORKS == set()


def test_source_names_nothing_of_the_machine_it_was_written_on() -> None:
    """The project stands alone: no path of a developer's machine, no registry host in anything shipped."""
    banned = ("/work/", "../shared", "pythonhosted", "pypi.org", "registry.npmjs", "deb.debian.org")
    found = []
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert len(tracked) > 20
    for name in tracked:
        path = ROOT / name
        if path == Path(__file__) or not path.is_file() or path.stat().st_size > 1_000_000:
            continue
        text = path.read_text(errors="ignore")
        found += [(name, word) for word in banned if word in text]
    assert found == []
