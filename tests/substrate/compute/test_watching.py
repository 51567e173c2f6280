"""The watcher of attempts, where a directory is not what it should be."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.compute.shim import record
from sagebrush.substrate.compute.watching import Watcher
from sagebrush.testing.launcher_contract import eventually


def test_a_directory_that_cannot_be_read_makes_no_other_unheard(tmp_path: Path) -> None:
    broken, sound = tmp_path / "broken", tmp_path / "sound"
    for directory in (broken, sound):
        directory.mkdir()
    (broken / record.NAME).write_text("{ torn")
    watcher = Watcher()
    try:
        watcher.watch(broken, lambda: None)
        heard = threading.Event()
        watcher.watch(sound, heard.set)
        assert heard.wait(30)
        heard.clear()
        ended = {"version": 1, "phase": "exited", "exit_code": 0, "signal": None, "boot_id": record.boot_id()}
        (sound / "aside").write_text(json.dumps(ended))
        (sound / "aside").rename(sound / record.NAME)
        assert heard.wait(30)
    finally:
        watcher.close()


def _sleeping(seconds: int) -> int:
    return os.posix_spawn("/bin/sleep", ["sleep", str(seconds)], os.environ)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.close()


def test_a_shim_that_has_ended_before_it_is_watched_is_no_error(watcher: Watcher, tmp_path: Path) -> None:
    ended = _sleeping(0)
    os.waitpid(ended, 0)
    watcher.reap(ended, tmp_path)
    assert not watcher._children
    living = _sleeping(600)
    watcher.reap(living, tmp_path)
    os.kill(living, signal.SIGKILL)
    eventually(lambda: not watcher._children)
    with pytest.raises(ChildProcessError):
        os.waitpid(living, os.WNOHANG)


def test_an_event_that_was_another_descriptors_waits_for_no_living_shim(watcher: Watcher, tmp_path: Path) -> None:
    living = _sleeping(600)
    try:
        watcher.reap(living, tmp_path)
        (descriptor,) = watcher._children
        # As where a number was closed between the event and its being heard, and given to this shim since.
        hearing = threading.Thread(target=watcher._hear, args=[descriptor], daemon=True)
        hearing.start()
        hearing.join(30)
        assert not hearing.is_alive()
        assert descriptor in watcher._children
    finally:
        os.kill(living, signal.SIGKILL)
    eventually(lambda: not watcher._children)
