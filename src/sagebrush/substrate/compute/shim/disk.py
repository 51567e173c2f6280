"""What one host of a job takes of the disk, and when that is too much (ADR 0011).

A look measures the blocks of everything in /opt/ml and /tmp, of files too that the job has removed and still holds
open or mapped. It goes on in slices between the shim's other work, seldom while there is room and often when there is
little: the pause is what the fastest writer would need for the rest. The free space of the file system is asked more
often, which costs nothing; below the reserve a job that goes on writing is ended.

Loaded only for a job with such a limit. Names in user folders are opened without following links, and what lies on
another file system is not counted.
"""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH116, PTH123, PTH208

from __future__ import annotations

import os
import resource
import stat
import time

from . import keeper

TYPE_CHECKING = False
if TYPE_CHECKING:  # it takes long to load
    from collections.abc import Iterator

#: What ``Disk.look`` says: more than the limit, writing below the reserve, or folders too deep to be measured.
VOLUME, RESERVE, NESTING = "volume", "reserve", "nesting"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Entries of folders between two turns of the shim's other work: some milliseconds.
_SLICE = 1000
#: Bytes per second that a writer hardly exceeds, page cache and all.
_FASTEST = 8 << 30
_SHORTEST_S, _LONGEST_S = 0.05, 5.0
#: A look takes at most this share of a processor.
_SHARE = 0.05
#: Less than this is no writing: a folder grew, a log line was stamped.
_GROWTH = 1 << 20
#: Bytes; a path that is longer is divided, far below the kernel's longest.
_LONGEST_PATH = 2000
_TOO_MANY_FILES = 24
_NEVER = float("inf")


class Disk:
    """The disk use of one running job. ``keeper_pid`` is the parent of its processes."""

    def __init__(self, folders: list[str], log: str, keeper_pid: int, *, limit: int, reserve: int):
        """``limit`` and ``reserve`` in bytes, 0 means none. ``log`` is counted as writing, not against the limit.

        The working directory is the attempt's: on its file system the folders lie, and it cannot be taken away.
        """
        self._folders = folders
        self._log = log
        self._keeper = keeper_pid
        self._limit = limit
        self._reserve = reserve
        self._device = os.stat(".").st_dev
        now = time.monotonic()
        self._look_at = now + self._free_pause(self._free()) if reserve else _NEVER
        # A job that has just begun has written nothing.
        self._measure_at = now + _pause(limit) if limit else _NEVER
        self._measuring: Iterator[None] | None = None
        self._began = 0.0
        self._sum = 0
        self._over = False
        #: Bytes, log included, at the last look that found room; None before there was one.
        self._settled: int | None = None
        #: Bytes that the job had when it was measured last.
        self.used = 0
        # Deep folders take descriptors; the job's own limit was set before.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def pause(self) -> float:
        """Seconds until the next look is due."""
        if self._measuring is not None:
            return 0.0
        return max(0.0, min(self._look_at, self._measure_at) - time.monotonic())

    def look(self) -> str:
        """Go on looking, if it is time; '' or what is exceeded: VOLUME, RESERVE, NESTING."""
        now = time.monotonic()
        if self._measuring is None and not self._is_due(now):
            return ""
        if self._measuring is None:
            self._began, self._sum, self._measuring = now, 0, self._measure()
        try:
            next(self._measuring)
        except StopIteration:
            self._measuring = None
            return self._judge()
        except OSError as error:
            self._measuring = None
            if error.errno == _TOO_MANY_FILES:
                return NESTING
            # A disk that cannot be read now may be next time; the job is not to blame.
            self._look_at = now + _LONGEST_S if self._reserve else _NEVER
            self._measure_at = now + _LONGEST_S if self._limit else _NEVER
        return ""

    def _is_due(self, now: float) -> bool:
        """Whether to measure now: the time has come, or the file system is below the reserve."""
        low = False
        if self._reserve and now >= self._look_at:
            free = self._free()
            low = free < self._reserve
            self._look_at = now + self._free_pause(free)
        return low or now >= self._measure_at

    def _judge(self) -> str:
        now = time.monotonic()
        self.used = self._sum
        cost = (now - self._began) / _SHARE
        written = self.used + _size(self._log)
        if self._limit:
            self._measure_at = now + max(cost, _pause(self._limit - self.used))
            # Said twice: a file that is moved or removed while it is looked for can be counted at both places.
            before, self._over = self._over, self.used > self._limit
            if before and self._over:
                return VOLUME
        if self._reserve:
            free = self._free()
            self._look_at = now + max(cost, self._free_pause(free))
            if free >= self._reserve or self._settled is None:
                self._settled = written
            elif written > self._settled + _GROWTH:
                return RESERVE
        return ""

    def _free(self) -> int:
        """Bytes that an ordinary user can still write."""
        status = os.statvfs(".")
        return status.f_bavail * status.f_frsize

    def _free_pause(self, free: int) -> float:
        return _pause(free - self._reserve)

    # -- measuring --------------------------------------------------------------------------------------------------

    def _measure(self) -> Iterator[None]:
        """Add everything up, in slices."""
        linked: set[int] = set()
        for folder in self._folders:
            yield from self._walk(folder, linked)
        self._add_removed(linked)

    def _walk(self, top: str, linked: set[int]) -> Iterator[None]:
        try:
            base = _Base(os.open(top, _DIRECTORY))
        except OSError as error:
            _tolerate(error)
            return
        waiting: list[tuple[_Base, str]] = [(base, ".")]
        count = 0
        while waiting:
            base, path = waiting.pop()
            try:
                folder = os.open(path, _DIRECTORY, dir_fd=base.descriptor)
            except OSError as error:
                _tolerate(error)
                continue
            try:
                below, prefix = (base, f"{path}/") if len(path) < _LONGEST_PATH else (_Base(os.dup(folder)), "")
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if self._add(entry, linked):
                            waiting.append((below, prefix + entry.name))
                        count += 1
                        if count % _SLICE == 0:
                            yield
            finally:
                os.close(folder)

    def _add(self, entry: os.DirEntry[str], linked: set[int]) -> bool:
        """Count one name; whether it is a folder to look into."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            _tolerate(error)
            return False
        if status.st_dev != self._device:
            return False
        folder = stat.S_ISDIR(status.st_mode)
        if status.st_nlink > 1 and not folder:
            if status.st_ino in linked:
                return False
            linked.add(status.st_ino)
        self._sum += status.st_blocks * 512
        return folder

    def _add_removed(self, seen: set[int]) -> None:
        """Files without a name that a process of the job holds: their blocks, or the mapped size of what is mapped."""
        device = f"{os.major(self._device):02x}:{os.minor(self._device):02x}"
        mapped: dict[int, int] = {}
        for pid in keeper.descendants(self._keeper):
            try:
                for name in os.listdir(f"/proc/{pid}/fd"):
                    self._add_open(f"/proc/{pid}/fd/{name}", seen)
                with open(f"/proc/{pid}/maps", "rb") as file:
                    text = file.read().decode("utf-8", "replace")
            except OSError:
                continue  # It ended meanwhile, or is not ours to look into.
            if " (deleted)" in text:
                _collect_mapped(text, device, mapped)
        self._sum += sum(size for inode, size in mapped.items() if inode not in seen)

    def _add_open(self, path: str, seen: set[int]) -> None:
        try:
            status = os.stat(path)
        except OSError:
            return
        if status.st_nlink == 0 and status.st_dev == self._device and stat.S_ISREG(status.st_mode):
            if status.st_ino not in seen:
                self._sum += status.st_blocks * 512
            seen.add(status.st_ino)


class _Base:
    """An open folder from which paths go on; closed when no path that waits needs it any more."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


def _collect_mapped(maps: str, device: str, mapped: dict[int, int]) -> None:
    """Add the sizes of removed files on ``device`` by inode, from the text of /proc/PID/maps."""
    sizes: dict[int, int] = {}
    for line in maps.splitlines():
        if line.endswith(" (deleted)"):
            span, _, _, where, inode, _ = line.split(None, 5)
            if where == device:
                low, _, high = span.partition("-")
                sizes[int(inode)] = sizes.get(int(inode), 0) + int(high, 16) - int(low, 16)
    for number, size in sizes.items():
        mapped[number] = max(size, mapped.get(number, 0))


def _pause(room: int) -> float:
    """Seconds in which so many bytes cannot be written."""
    return min(_LONGEST_S, max(_SHORTEST_S, room / _FASTEST))


def _size(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _tolerate(error: OSError) -> None:
    """What a job removes, exchanges or closes to us while it is looked at costs only itself."""
    if error.errno == _TOO_MANY_FILES:
        raise error
