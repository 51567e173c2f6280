"""Changes to the user's own files, and taking them back."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagebrush.cli.own_files import Change, appended, make, marked, standing, take_back


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "record.json"


@pytest.mark.parametrize("before", [None, b"", b"[mine]\n", b"[mine]", b"\xff\x00 not text\n\n"])
def test_a_file_is_taken_back_byte_for_byte(tmp_path: Path, record: Path, before: bytes | None) -> None:
    file = tmp_path / "home" / "deep" / "config"
    if before is not None:
        file.parent.mkdir(parents=True)
        file.write_bytes(before)
        file.chmod(0o640)
    make([Change(file, appended(file, ["[ours]"]), "")], record, "here")
    assert file.read_bytes().endswith(marked(["[ours]"]))
    assert file.stat().st_mode & 0o777 == (0o600 if before is None else 0o640)
    assert len(take_back(record)) == 1
    if before is None:
        assert not (tmp_path / "home").exists()
    else:
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (before, 0o640)
    assert take_back(record) == []


@pytest.mark.parametrize("before", [b"", b"[mine]\nx = 1\n", b"[mine]"])
def test_what_others_added_since_stays(tmp_path: Path, record: Path, before: bytes) -> None:
    file = tmp_path / "config"
    file.write_bytes(before)
    make([Change(file, appended(file, ["[ours]"]), "")], record, "here")
    file.write_bytes(file.read_bytes() + b"[later]\n")
    take_back(record)
    whole = before if not before or before.endswith(b"\n") else before + b"\n"
    assert file.read_bytes() == whole + b"[later]\n"


def test_a_file_without_our_lines_that_somebody_changed_is_left(tmp_path: Path, record: Path) -> None:
    file = tmp_path / "data.json"
    make([Change(file, b"{}", "")], record, "here")
    file.write_bytes(b'{"theirs": 1}')
    (told,) = take_back(record)
    assert "left as it is" in told
    assert file.read_bytes() == b'{"theirs": 1}'
    assert list(standing(record)) == [str(file)]
    file.unlink()
    assert take_back(record) == [f"{file}: nothing to undo"]
    assert not record.exists()


def test_a_record_written_before_a_kill_undoes_what_was_done_till_then(tmp_path: Path, record: Path) -> None:
    done, not_done = tmp_path / "done", tmp_path / "not done"
    not_done.write_bytes(b"mine")
    make([Change(done, b"ours", ""), Change(not_done, b"ours", "")], record, "here")
    not_done.write_bytes(b"mine")
    take_back(record)
    assert not done.exists()
    assert not_done.read_bytes() == b"mine"


def test_a_link_stays_a_link(tmp_path: Path, record: Path) -> None:
    real, link = tmp_path / "dotfiles", tmp_path / "config"
    real.write_bytes(b"[mine]\n")
    link.symlink_to(real)
    make([Change(link, appended(link, ["[ours]"]), "")], record, "here")
    assert link.is_symlink()
    assert real.read_bytes().endswith(marked(["[ours]"]))
    take_back(record)
    assert (link.is_symlink(), real.read_bytes()) == (True, b"[mine]\n")
