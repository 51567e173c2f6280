"""Opening files that user code wrote.

The folder was written by user code and is read by the platform, perhaps as root, perhaps while user code still runs. So
every component below the trusted root is opened without following links: a folder that was exchanged for a link to
somewhere else counts as empty, a file that was, fails to open.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: How to open a folder, and a file that may turn out to be anything.
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of user code: ``path`` below ``root``, which only the platform writes."""

    root: Path
    path: str


def open_beneath(root: Path, path: str, flags: int) -> int:
    """Open ``path`` below ``root`` without following a link at any component of it."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    parts = PurePosixPath(path).parts
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        try:
            following = os.open(part, flags if last else DIRECTORY, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def read_beginning(folder: Folder, name: str, characters: int) -> str | None:
    """The first characters of a file in the folder; None when it is not there or no plain file."""
    try:
        descriptor = open_beneath(folder.root, f"{folder.path}/{name}", FILE)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(4 * characters).decode("utf-8", "replace")[:characters]
