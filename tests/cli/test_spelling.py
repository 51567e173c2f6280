"""The word that printed commands begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagebrush.cli.spelling import command


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "clone" / ".venv" / "bin" / "sagebrush"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    (tmp_path / "clone" / "below").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    return path


def test_a_command_on_the_path_is_called_by_its_name(program: Path) -> None:
    assert command(str(program.parent), str(program)) == "sagebrush"


def test_a_command_off_the_path_is_called_by_where_it_lies(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("/nowhere", str(program)) == ".venv/bin/sagebrush"
    monkeypatch.chdir(program.parents[2] / "below")
    assert command("/nowhere", str(program)) == str(program)


def test_another_sagebrush_on_the_path_is_not_taken_for_this_one(program: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "sagebrush"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert command(str(other.parent), str(program)) == ".venv/bin/sagebrush"


def test_a_module_run_by_python_has_no_better_word(program: Path) -> None:
    assert command("/nowhere", str(program.with_name("__main__.py"))) == "sagebrush"
