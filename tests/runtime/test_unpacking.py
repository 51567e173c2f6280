"""Unpacking, with the filters of newer Pythons and without."""

from __future__ import annotations

import contextlib
import io
import tarfile
from pathlib import Path

import pytest

from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.unpacking import unpack


@pytest.fixture(params=["filters", "no filters"], autouse=True)
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python before 3.11.4 has no filters."""
    if request.param == "no filters":
        monkeypatch.delattr(tarfile, "data_filter")


def archive(path: Path, *members: tuple[str, bytes, str]) -> str:
    """(name, type, content or link name)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o6777
            data = text.encode() if kind == tarfile.REGTYPE else b""
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname = text
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return str(path)


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def test_files_folders_and_links_among_them_are_unpacked(tmp_path: Path) -> None:
    target = tmp_path / "target"
    source = archive(
        tmp_path / "a.tar.gz",
        ("deep", tarfile.DIRTYPE, ""),
        ("deep/one", FILE, "1"),
        ("soft", LINK, "deep/one"),
        ("deep/up", LINK, "../deep/one"),
        ("hard", HARD, "deep/one"),
    )
    unpack(source, str(target))
    assert [(target / name).read_text() for name in ("deep/one", "soft", "deep/up", "hard")] == ["1"] * 4
    assert (target / "deep" / "one").stat().st_mode & 0o7022 == 0


@pytest.mark.parametrize(
    "members",
    [
        [("../outside", FILE, "x")],
        [("deep/../../outside", FILE, "x")],
        [("soft", LINK, "/etc")],
        [("soft", LINK, "../..")],
        [("hard", HARD, "../outside")],
        [("soft", LINK, "."), ("soft/../../outside", FILE, "x")],
        [("device", tarfile.CHRTYPE, "")],
        [("pipe", tarfile.FIFOTYPE, "")],
    ],
)
def test_what_leads_outside_or_is_special_is_refused(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    (tmp_path / "in").mkdir()
    target = tmp_path / "in" / "target"
    with pytest.raises(UserError, match=r"a\.tar\.gz cannot be unpacked"):
        unpack(archive(tmp_path / "a.tar.gz", *members), str(target))
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["target"]
    assert not (tmp_path / "outside").exists()


def test_an_absolute_path_stays_inside_or_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    source = archive(tmp_path / "a.tar.gz", (str(place), FILE, "x"))
    with contextlib.suppress(UserError):
        unpack(source, str(tmp_path / "target"))
    assert not place.exists()


def test_a_member_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    dangling = archive(tmp_path / "dangling.tar.gz", ("model/link", HARD, "model/missing"))
    with pytest.raises(UserError, match=r"dangling.tar.gz cannot be unpacked: member 'model/link'.*model/missing"):
        unpack(dangling, str(tmp_path / "out"))
    deep = archive(tmp_path / "deep.tar.gz", ("d/" * 1500 + "file", FILE, "x"))
    with pytest.raises(UserError, match=r"deep.tar.gz cannot be unpacked.*'d/d/d"):
        unpack(deep, str(tmp_path / "out"))
    clash = archive(tmp_path / "clash.tar.gz", ("model", FILE, "x"), ("model/weights", FILE, "x"))
    with pytest.raises(UserError, match=r"clash.tar.gz cannot be unpacked at member 'model/weights'"):
        unpack(clash, str(tmp_path / "other"))


def test_more_than_there_is_room_for_is_refused_before_it_is_written(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar.gz", ("zeros", FILE, "0" * 100_000))
    with pytest.raises(UserError, match="more than 1000 bytes"):
        unpack(source, str(tmp_path / "target"), 1000)
    assert list((tmp_path / "target").iterdir()) == []


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"not a tar file")
    with pytest.raises(UserError, match=r"a\.tar\.gz is not a tar archive"):
        unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "target"))
