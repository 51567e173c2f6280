"""The data directory: created, versioned, locked; and the port beside it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from sagebrush.server import listening, log_files, platform_file
from sagebrush.server.data_directory import LAYOUT, DataDirectory
from sagebrush.server.platform_file import PlatformFile
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.processes import ProcessIdentity


def test_a_new_directory_is_private_and_says_its_layout(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "deep" / "data")
    directory.prepare()
    directory.prepare()
    assert stat.S_IMODE(directory.root.stat().st_mode) == 0o700
    assert directory.version_file.read_text() == f"{LAYOUT}\n"


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [(str(LAYOUT + 1), "DataDirectoryTooNew", "newer Sagebrush"), ("what?", "DataDirectoryUnusable", "one number")],
)
def test_a_directory_of_another_version_is_refused_untouched(
    tmp_path: Path, version: str, code: str, words: str
) -> None:
    (tmp_path / "VERSION").write_text(version)
    with pytest.raises(CallerError) as refused:
        DataDirectory(tmp_path).prepare()
    assert refused.value.code == code
    assert words in refused.value.message
    assert str(tmp_path) in refused.value.message
    assert (tmp_path / "VERSION").read_text() == version


def test_a_directory_that_cannot_be_one_is_a_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CallerError, match="not usable"):
        DataDirectory(tmp_path / "file").prepare()


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    held = directory.lock()
    assert held is not None
    assert directory.lock() is None
    os.close(held)
    again = directory.lock()
    assert again is not None
    os.close(again)


def test_a_taken_port_is_named_with_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CallerError) as refused:
            listening.bind("127.0.0.1", port)
    assert refused.value.code == "PortInUse"
    assert f"Port {port}" in refused.value.message
    assert f"(pid {os.getpid()})" in refused.value.message
    assert f"--port {port + 1}" in refused.value.message


def test_an_address_that_is_not_here_is_a_clear_line() -> None:
    with pytest.raises(CallerError, match=r"Cannot listen on 192\.0\.2\.1:4711"):
        listening.bind("192.0.2.1", 4711)


def test_the_platform_file_tells_a_process_from_its_successor(tmp_path: Path) -> None:
    file = tmp_path / "platform.json"
    me = ProcessIdentity.of(os.getpid())
    assert platform_file.running(file) is None
    PlatformFile(me, "127.0.0.1", 4711, "0.1.0", True, 1, {"control": me}).write(file)
    found = platform_file.running(file)
    assert found is not None
    assert found.processes["control"].alive()
    assert found.endpoint_url == "http://127.0.0.1:4711"
    another = ProcessIdentity(me.pid, me.started + 1, me.boot)
    earlier_boot = ProcessIdentity(me.pid, me.started, "another boot")
    for gone in (another, earlier_boot):
        PlatformFile(gone, "127.0.0.1", 4711, "0.1.0", True, 1).write(file)
        assert platform_file.running(file) is None
    file.write_text("{")
    assert platform_file.running(file) is None


def test_a_long_log_is_moved_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "control.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        assert not log_files.rotate(log, limit_bytes=100)
        writer.write(b"y")
        assert log_files.rotate(log, limit_bytes=100)
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "control.log.1").read_bytes() == b"x" * 100 + b"y"
    assert not log_files.rotate(tmp_path / "missing.log")
