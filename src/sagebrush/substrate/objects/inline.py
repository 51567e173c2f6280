"""Small objects lie in the index itself: their bytes become durable with the very commit that makes them visible.

A file of its own would cost a small object two more waits for the disk than its row does, which is most of what
storing it costs. Who needs a path (a bind mount, a library that opens files) gets a copy under
``<root>/shown/<boot id>/``: written once, kept until some time after the object is gone, never synced. It need not
be: a process's crash does not hurt what the kernel holds, and after a machine's crash there is another boot id.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from sagebrush.substrate.clock import Clock

#: Objects up to this size have their bytes in the index.
INLINE_BYTES = 32 << 10

_PREFIX = "inline/"
_TAG_BITS = 11
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Names:
    """Numbers for inline content: never used twice, and growing, so that new rows are appended to their table."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._mutex = threading.Lock()
        self._last_us = 0
        # Two processes that number content in the same microsecond differ here.
        self._tag = secrets.randbits(_TAG_BITS)

    def new(self) -> str:
        """The name of new inline content, in place of a file's name."""
        with self._mutex:
            self._last_us = max(self._clock.now_us(), self._last_us + 1)
            return f"{_PREFIX}{self._last_us << _TAG_BITS | self._tag}"


def content_id(file: str) -> int:
    """The number in a name of inline content."""
    return int(file.removeprefix(_PREFIX))


def is_inline(file: str) -> bool:
    """Whether a name stands for content in the index."""
    return file.startswith(_PREFIX)


class Shown:
    """Copies of inline content as files, for those who need a path."""

    def __init__(self, root: Path):
        self._all = root / "shown"
        # Where the system tells no boot id, each process shows content anew.
        boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else secrets.token_hex(8)
        self._mine = self._all / boot

    def path(self, file: str) -> Path:
        """Where content is shown, or would be."""
        name = file.removeprefix(_PREFIX)
        # The last digits of the number are the process's tag; those before them spread evenly.
        return self._mine / f"{int(name) >> _TAG_BITS & 0xFF:02x}" / name

    def show(self, file: str, content: bytes) -> Path:
        """Make content a file. Two who do it at the same time write the same bytes; the rename decides."""
        path = self.path(file)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o444)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            unfinished.rename(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        return path

    def shown(self) -> Iterator[str]:
        """The names of all content that is shown."""
        for directory in sorted(self._mine.glob("*")):
            for path in directory.iterdir():
                if path.name.isdigit():
                    yield _PREFIX + path.name

    def remove(self, file: str) -> None:
        """Remove the copy, if there is one."""
        self.path(file).unlink(missing_ok=True)

    def forget_other_boots(self) -> None:
        """Remove what was shown before the machine started."""
        if self._all.is_dir():
            for directory in self._all.iterdir():
                if directory != self._mine:
                    shutil.rmtree(directory)
