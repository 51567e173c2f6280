"""What the front door leaves for the control plane, written by one thread: counts and captured data.

Counts are never dropped while their endpoint is there: what a full disk does not take is written later. Captured data
is, beyond a bound and on errors; it is counted then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from sagebrush.planes.front.invocations.capture import CaptureFiles, Record, append_whole, recover
from sagebrush.planes.front.invocations.counts import Second
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.front_door import COUNTS_PREFIX

log = logging.getLogger(__name__)

#: Captured records that may wait to be written: so many, and so many bytes of bodies.
_MOST_RECORDS = 10_000
_MOST_BYTES: Final = 64 * 1024 * 1024
#: Lines of counts that wait while the disk takes none: an hour of one variant's.
_MOST_LINES: Final = 3600
_COUNTS_FILE_BYTES = 1_000_000
_BATCH: Final = 500


@dataclass(slots=True)
class _Counted:
    directory: str
    second: Second


@dataclass(slots=True)
class _Recover:
    directories: tuple[str, ...]


@dataclass(slots=True)
class _Flush:
    """Everything before this is to be written, and capture files closed but those in the directories ``open``."""

    open: frozenset[str]
    done: Callable[[], None]
    last: bool = False


_Job = _Counted | _Recover | _Flush | Record


class Spool:
    """Takes what is to be written from the event loop's thread and never makes it wait. Directories lie in ``root``."""

    def __init__(self, root: Path, clock: Clock, files: CaptureFiles | None = None):
        self._root = root
        self._clock = clock
        self._files = files or CaptureFiles(root, clock)
        self._counters: dict[str, _CountsFile] = {}
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        # Each counted up by one thread alone: the loop's, and the writer's.
        self._given = self._given_bytes = 0
        self._taken = self._taken_bytes = 0

    def counted(self, directory: str, second: Second) -> None:
        """Write down a second of a variant's counts."""
        self._put(_Counted(directory, second))

    def captured(self, record: Record) -> bool:
        """Write down a captured record; False when too much is waiting."""
        size = record.size
        if self._given - self._taken >= _MOST_RECORDS or self._given_bytes - self._taken_bytes + size > _MOST_BYTES:
            return False
        self._given += 1
        self._given_bytes += size
        self._put(record)
        return True

    def recover(self, directories: Iterable[str]) -> None:
        """Close what a former process left open in these spools."""
        self._put(_Recover(tuple(directories)))

    def flush(self, still_open: frozenset[str], done: Callable[[], None]) -> None:
        """Call ``done``, on the writer's thread, when everything up to now is written.

        Captured data can then be read from the spools of all endpoints but those whose directories stay open.
        """
        self._put(_Flush(still_open, done))

    def close(self) -> None:
        """Write what is left and end."""
        if self._writer is None:
            return
        self._jobs.put(_Flush(frozenset(), lambda: None, last=True))
        self._writer.join()
        self._writer = None

    def _put(self, job: _Job) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._run, name="spool", daemon=True)
            self._writer.start()
        self._jobs.put(job)

    # On the writer's thread

    def _run(self) -> None:
        last = False
        while not last:
            batch = self._next()
            records = [job for job in batch if isinstance(job, Record)]
            try:
                self._files.write(records)
            except Exception:
                log.exception("captured data was lost")
            for record in records:
                self._taken_bytes += record.size
                self._taken += 1
            for job in batch:
                try:
                    last = self._do(job) or last
                except Exception:
                    log.exception("the spool could not be written")
            self._files.close_due()

    def _next(self) -> list[_Job]:
        """What is there, waited for until a file is to be closed."""
        due = self._files.due_us()
        timeout = None if due is None else max(0.0, (due - self._clock.monotonic_us()) / 1e6)
        batch: list[_Job] = []
        with contextlib.suppress(queue.Empty):
            batch.append(self._jobs.get(timeout=timeout))
            while len(batch) < _BATCH and not isinstance(batch[-1], (_Flush, _Recover)):
                batch.append(self._jobs.get_nowait())
        return batch

    def _do(self, job: _Job) -> bool:
        """Do a job that is no record; True after the last one."""
        if isinstance(job, _Counted):
            file = self._counters.get(job.directory)
            if file is None:
                file = self._counters[job.directory] = _CountsFile(self._root / job.directory, self._clock)
            file.write(orjson.dumps(job.second.line()) + b"\n")
        elif isinstance(job, _Recover):
            for directory in job.directories:
                recover(self._root, directory)
        elif isinstance(job, _Flush):
            self._files.close(but=job.open)
            for directory in self._counters.keys() - job.open:
                self._counters.pop(directory).write(b"")
            job.done()
            return job.last
        return False


class _CountsFile:
    """The counts of one endpoint by this process; another file when one has grown enough."""

    def __init__(self, directory: Path, clock: Clock):
        self._directory = directory
        self._clock = clock
        self._path: Path | None = None
        self._size = 0
        self._began_us = 0
        self._waiting: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Append a line whole, after those that could not be written before."""
        self._waiting = [*self._waiting[-_MOST_LINES:], line] if line else self._waiting
        if not self._waiting:
            return
        data = b"".join(self._waiting)
        try:
            self._append(data)
        except FileNotFoundError:
            pass  # The endpoint is gone and its directory with it.
        except OSError as error:
            log.warning("counts in %s cannot be written yet: %s", self._directory, error)
            return
        self._waiting = []

    def _append(self, data: bytes) -> None:
        if self._path is None or self._size >= _COUNTS_FILE_BYTES:
            with contextlib.suppress(FileExistsError):
                self._directory.mkdir()
            self._began_us = max(self._clock.now_us(), self._began_us + 1)
            self._path = self._directory / f"{COUNTS_PREFIX}{self._began_us:016d}.jsonl"
            self._size = 0
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            append_whole(descriptor, data, self._size)
        finally:
            os.close(descriptor)
        self._size += len(data)
