"""Removing files that nobody needs: the trash after its grace, and what dead processes left without a row."""

from __future__ import annotations

import logging
import threading
from itertools import islice

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.objects import rows
from sagebrush.substrate.objects.files import Files
from sagebrush.substrate.objects.inline import Shown
from sagebrush.substrate.store import Store

#: How long the file of a replaced or deleted object stays at its path, in microseconds.
GRACE_US = 60_000_000

#: Between two looks at the copies of small objects, which all are compared with the index, in microseconds.
SHOWN_US = 600_000_000

#: Between two rounds, in microseconds.
ROUND_US = 15_000_000

_BATCH = 500
#: Directories of a dead writer that are compared with the index in one query.
_DIRECTORIES = 32

AFTER_UNLINK = faultpoints.declare("objects.after-unlink")

logger = logging.getLogger(__name__)


class Sweeper:
    """Sweeps one store, in rounds."""

    def __init__(self, files: Files, shown: Shown, index: Store, clock: Clock):
        self._files = files
        self._shown = shown
        self._index = index
        self._clock = clock
        self._stopping = threading.Event()
        self._gone_before: set[str] = set()
        self._look_again_us = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Sweep in rounds in a thread of its own, from now on."""
        self._thread = threading.Thread(target=self._run, name="objects-sweeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the batch it is at."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def sweep(self) -> None:
        """One round."""
        self._shown.forget_other_boots()
        self.sweep_orphans()
        self.sweep_trash()
        now = self._clock.monotonic_us()
        if now >= self._look_again_us:
            self._look_again_us = now + SHOWN_US
            self.sweep_shown()

    def sweep_trash(self) -> None:
        """Remove what has been in the trash for its grace and is not pinned."""
        now = self._clock.now_us()
        while not self._stopping.is_set():
            doomed = self._index.write(lambda conn: rows.doom(conn, now - GRACE_US, _BATCH, now))
            if not doomed:
                return
            for file in doomed:
                self._files.unlink(file)
            faultpoints.reach(AFTER_UNLINK)
            self._index.write(lambda conn, files=doomed: rows.forget(conn, files))  # type: ignore[misc]

    def sweep_shown(self) -> None:
        """Remove the copies of small objects that were gone already when the last but one look was taken."""
        names = self._shown.shown()
        gone: set[str] = set()
        while (batch := list(islice(names, _BATCH))) and not self._stopping.is_set():
            gone.update(self._index.read(lambda conn, files=batch: rows.missing_contents(conn, files)))  # type: ignore[misc]
        for file in gone & self._gone_before:
            self._shown.remove(file)
        self._gone_before = gone

    def sweep_orphans(self) -> None:
        """Remove files without a row that dead processes left; each dead process is looked at once."""
        for writer, descriptor in self._files.dead_writers():
            removed = 0
            directories = self._files.directories_of(writer)
            while batch := list(islice(directories, _DIRECTORIES)):
                removed += self._sweep_directories(batch)
            self._files.swept(writer, descriptor)
            logger.info("swept the directories of writer %s: %d orphans removed", writer, removed)

    def _sweep_directories(self, directories: list[str]) -> int:
        first, end = f"{directories[0]}/", f"{directories[-1]}0"

        def look(conn: Connection) -> set[str]:
            return rows.named_files(conn, first, end)

        named = self._index.read(look)
        orphans = [file for directory in directories for file in self._files.files_in(directory) if file not in named]
        for file in orphans:
            self._files.unlink(file)
        return len(orphans)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.sweep()
            except Exception:
                logger.exception("a round of sweeping failed; the next one tries again")
            self._clock.sleep_until(self._clock.monotonic_us() + ROUND_US, self._stopping)
