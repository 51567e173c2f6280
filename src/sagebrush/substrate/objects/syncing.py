"""Group sync: puts that run at the same time share the waits for the disk."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True, eq=False)
class Pending:
    """A finished file that is not durable yet. ``descriptor`` is None when its content has been synced already."""

    directory: Path
    descriptor: int | None
    done: bool = False
    error: OSError | None = field(default=None)


class GroupSync:
    """Makes files and their directory entries durable, many at a time.

    Whoever comes first syncs for everybody who arrived meanwhile; the others find their work done when their turn
    comes. A batch starts the write-out of all its files, then waits for each, then syncs every directory once.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[Pending] = []
        #: Batches done and files in them, for benchmarks and tests.
        self.batches = 0
        self.files = 0

    def sync(self, pending: Pending) -> None:
        """Return when the file and its directory entry are durable. Raises OSError as fsync does."""
        with self._mutex:
            self._waiting.append(pending)
        with self._turn:
            if not pending.done:
                with self._mutex:
                    batch, self._waiting = self._waiting, []
                self._flush(batch)
        if pending.error is not None:
            raise pending.error

    def _flush(self, batch: list[Pending]) -> None:
        self.batches += 1
        self.files += len(batch)
        try:
            if len(batch) > 1:
                _start_writing(batch)
            for pending in batch:
                _sync_content(pending)
            for directory in {pending.directory for pending in batch}:
                error = _sync_directory(directory)
                if error is not None:
                    for pending in batch:
                        if pending.directory == directory:
                            pending.error = pending.error or error
        finally:
            for pending in batch:
                pending.done = True


def _start_writing(batch: list[Pending]) -> None:
    # Linux starts the write-out of dirty pages here without waiting: the fsyncs then find one journal
    # transaction with all the allocations instead of making one each.
    if hasattr(os, "posix_fadvise"):
        for pending in batch:
            if pending.descriptor is not None:
                os.posix_fadvise(pending.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_content(pending: Pending) -> None:
    if pending.descriptor is None:
        return
    try:
        os.fsync(pending.descriptor)
    except OSError as error:
        pending.error = error


def _sync_directory(directory: Path) -> OSError | None:
    try:
        sync_directory(directory)
    except OSError as error:
        return error
    return None


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
