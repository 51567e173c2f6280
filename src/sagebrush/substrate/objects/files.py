"""The immutable files under the store.

    <root>/files/<writer>/<number>/<random>    one file per object or uploaded part
    <root>/writers/<writer>                   locked as long as that writer's process lives

A file becomes visible only by a row of the index, so a name never has to change after the first byte. Every process
that writes has a writer id and directories of its own; puts of one process share a directory and so a directory
sync. When a writer has died, what it left without a row is an orphan: only the directories of writers that died
since the last sweep have to be looked at, however many objects there are.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from sagebrush.substrate.objects.syncing import GroupSync, Pending, sync_directory

#: Files per directory; then the writer starts another.
FILES_PER_DIRECTORY = 1024

#: Room that objects leave free: this many bytes, or one part in so many of a smaller disk.
RESERVE_BYTES = 64 << 20
RESERVE_PART = 32


class Files:
    """The files of one store, for one process. Thread-safe."""

    def __init__(self, root: Path):
        self._files = root / "files"
        self._writers = root / "writers"
        for directory in (root, self._files, self._writers):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mutex = threading.Lock()
        self._group = GroupSync()
        self._writer = ""
        self._lock_descriptor = -1
        self._directory = ""
        self._in_directory = FILES_PER_DIRECTORY
        self._directories = 0

    def require_room(self, size: int) -> None:
        """Raise OSError ENOSPC when ``size`` bytes more would touch the reserve.

        The reserve lets the index go on committing on a disk that is full of objects: else nobody could delete one.
        """
        disk = os.statvfs(self._files)
        if disk.f_bavail * disk.f_frsize - size < min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // RESERVE_PART):
            raise OSError(errno.ENOSPC, "the reserve of the disk is not for objects")

    @property
    def group(self) -> GroupSync:
        """The group sync, for its counters."""
        return self._group

    def path(self, file: str) -> Path:
        """Where a file lies."""
        return self._files / file

    def create(self) -> tuple[str, int]:
        """A new empty file under a random name: its name in the store and a descriptor to write and read it."""
        while True:
            file = self.new_name()
            try:
                return file, os.open(self.path(file), os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o444)
            except FileNotFoundError:
                # A sweeper of another process took the directory away because it was empty.
                self._leave_directory(file)

    def link(self, file: str) -> str:
        """A second name for an immutable file. Raises OSError where the file system refuses."""
        while True:
            name = self.new_name()
            try:
                os.link(self.path(file), self.path(name), follow_symlinks=False)
            except FileNotFoundError:
                if not self.path(file).exists():
                    raise
                self._leave_directory(name)
            else:
                return name

    def new_name(self) -> str:
        """A name that no file has, in a directory that exists and is synced by :meth:`sync`."""
        with self._mutex:
            if self._in_directory >= FILES_PER_DIRECTORY:
                self._next_directory()
            self._in_directory += 1
            return f"{self._directory}/{secrets.token_hex(12)}"

    def sync(self, file: str, descriptor: int | None) -> None:
        """Return when content (unless ``descriptor`` is None) and name of a file are durable."""
        self._group.sync(Pending(self.path(file).parent, descriptor))

    def unlink(self, file: str) -> None:
        """Remove a file, and its directory when that is empty and finished with. A missing file is fine."""
        path = self.path(file)
        path.unlink(missing_ok=True)
        if path.parent != self._files / self._directory:
            _remove_if_empty(path.parent)

    def cool(self, files: Iterable[str]) -> None:
        """Give back the memory in which the system keeps these files: their objects are gone or replaced."""
        for file in files:
            try:
                descriptor = os.open(self.path(file), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                # With a second name it is another object's file, too.
                if os.fstat(descriptor).st_nlink == 1 and hasattr(os, "posix_fadvise"):
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Let go of the writer id: another process may sweep its directories now."""
        with self._mutex:
            if self._writer:
                os.close(self._lock_descriptor)
                self._writer = ""
                self._in_directory = FILES_PER_DIRECTORY

    def dead_writers(self) -> list[tuple[str, int]]:
        """Writers that died and were not swept: (id, lock descriptor). Locked here, so one process sweeps each."""
        dead = []
        for path in sorted(self._writers.iterdir()):
            if path.name == self._writer or path.name.startswith("."):
                continue
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                dead.append((path.name, descriptor))
        return dead

    def directories_of(self, writer: str) -> Iterator[str]:
        """The directories of one writer, in order."""
        home = self._files / writer
        if home.is_dir():
            for directory in sorted(home.iterdir()):
                yield f"{writer}/{directory.name}"

    def files_in(self, directory: str) -> Iterator[str]:
        """The files of one directory."""
        with os.scandir(self._files / directory) as entries:
            for entry in entries:
                yield f"{directory}/{entry.name}"

    def swept(self, writer: str, descriptor: int) -> None:
        """Forget a dead writer; what is left in its directories has rows."""
        home = self._files / writer
        if home.is_dir():
            for directory in sorted(home.iterdir()):
                _remove_if_empty(directory)
            _remove_if_empty(home)
        (self._writers / writer).unlink(missing_ok=True)
        os.close(descriptor)

    def _next_directory(self) -> None:
        if not self._writer:
            self._register()
        self._directories += 1
        directory = f"{self._writer}/{self._directories:08d}"
        path = self._files / directory
        path.mkdir(mode=0o700)
        sync_directory(path.parent)
        self._directory = directory
        self._in_directory = 0

    def _register(self) -> None:
        """Take a writer id, locked for the life of the process."""
        writer = secrets.token_hex(6)
        # Locked under a name that sweepers skip, then renamed: nobody ever sees it unlocked while we live.
        unnamed = self._writers / f".{writer}"
        self._lock_descriptor = os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX)
        unnamed.rename(self._writers / writer)
        (self._files / writer).mkdir(mode=0o700)
        sync_directory(self._files)
        sync_directory(self._writers)
        self._writer = writer
        self._directories = 0

    def _leave_directory(self, file: str) -> None:
        with self._mutex:
            if file.startswith(f"{self._directory}/"):
                self._in_directory = FILES_PER_DIRECTORY


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        # Not empty, or already gone: both are what was asked for.
        return
