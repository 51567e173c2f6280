"""Small objects lie in the index itself: their bytes become durable with the very commit that makes them visible.

A file of its own would cost a small object two more waits for the disk than its row does, which is most of what
storing it costs. Who needs a path (a bind mount, a library that opens files) gets a copy under
``<root>/shown/<boot id>/``: written once, kept as long as the object, never synced. It need not be: a process's
crash does not hurt what the kernel holds, and after a machine's crash there is another boot id.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

#: Objects up to this size have their bytes in the index.
INLINE_BYTES = 32 << 10

_PREFIX = "inline/"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def new_name() -> str:
    """The name of new inline content, in place of a file's name."""
    return _PREFIX + secrets.token_hex(12)


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
        return self._mine / name[:2] / name

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

    def remove(self, file: str) -> None:
        """Remove the copy, if there is one."""
        self.path(file).unlink(missing_ok=True)

    def forget_other_boots(self) -> None:
        """Remove what was shown before the machine started."""
        if self._all.is_dir():
            for directory in self._all.iterdir():
                if directory != self._mine:
                    shutil.rmtree(directory)
