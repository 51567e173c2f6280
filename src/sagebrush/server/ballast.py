"""Room held back on the data directory's disk, let go when the disk is full, so that what happened can be recorded.

A job that fills the disk would otherwise stop the platform from writing down that it failed, and from removing what it
left: the way out would need the room that only the way out can make.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

#: Held back; enough for the state database to record the end of many jobs.
SIZE: Final = 16 * 1024 * 1024
#: Let go below this much free room; taken back when there is room for it several times over.
LOW: Final = 2 * 1024 * 1024
SECONDS_BETWEEN_LOOKS: Final = 0.5


class Ballast:
    """One file of :data:`SIZE` bytes, watched by a thread."""

    def __init__(self, path: Path):
        self._path = path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ballast", daemon=True)

    def start(self) -> None:
        """Take the room, if there is room, and watch."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; the room stays held back for the next start."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """Let go when the disk is full, take back when it is not."""
        free = _free_bytes(self._path.parent)
        held = self._path.exists()
        if held and free < LOW:
            self._path.unlink()
            log.warning("the disk of %s is full: letting %d MiB held back for this go", self._path.parent, SIZE >> 20)
        elif not held and free > 3 * SIZE:
            self._take()

    def _take(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, SIZE)
        except OSError as error:
            log.warning("no room could be held back in %s: %s", self._path.parent, error)
            self._path.unlink()
        finally:
            os.close(descriptor)

    def _watch(self) -> None:
        while not self._stopping.wait(SECONDS_BETWEEN_LOOKS):
            try:
                self.look()
            except OSError:
                log.exception("could not look after the room held back")


def _free_bytes(directory: Path) -> int:
    """What this process may still write there."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
