"""The watcher of attempts, where a directory is not what it should be."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from sagebrush.substrate.compute.shim import record
from sagebrush.substrate.compute.watching import Watcher


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
