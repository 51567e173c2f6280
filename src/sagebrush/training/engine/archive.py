"""Folders as tar.gz streams: deterministic, nothing of the folder's outside, constant memory.

User code wrote the folder: it is opened as ``substrate.compute.user_files`` says. Its depth costs nothing here: folders
wait in a list, and each is opened from the root when its turn comes, so neither the stack nor the descriptors run out.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sagebrush.substrate.compute.user_files import DIRECTORY, FILE, Folder, open_beneath
from sagebrush.substrate.errors import Cancelled

#: Folders within folders that are archived; what lies deeper is left out with a notice. Unpacking a deeper archive
#: fails in most tools, as its paths are longer than a kernel takes.
MOST_LEVELS = 200
_PIECE = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
#: Weights hardly compress; a higher level costs several times the time for a few percent.
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or symbolic link below a folder, under its archive name."""

    name: str
    folder: Folder
    status: os.stat_result
    link: str = ""

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)


@dataclass(slots=True)
class Contents:
    """What goes into an archive, in order of names; ``skipped`` tells what does not and why."""

    entries: list[Entry] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.is_file]


def contents_of(folders: Sequence[Folder]) -> Contents:
    """Everything below the folders as if they were one; of equal names the first folder's counts."""
    found: dict[str, Entry] = {}
    contents = Contents()
    for folder in folders:
        for entry in _walk(folder, contents.skipped):
            found.setdefault(entry.name, entry)
    contents.entries = [found[name] for name in sorted(found)]
    return contents


def _never() -> bool:
    return False


def read_entry(entry: Entry, cancelled: Callable[[], bool] = _never) -> Iterator[bytes]:
    """A file's bytes, as many as it had when it was found.

    Raises OSError when it is not that file any more, Cancelled when ``cancelled()`` turns true.
    """
    descriptor = open_beneath(entry.folder.root, f"{entry.folder.path}/{entry.name}", FILE)
    try:
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (entry.status.st_dev, entry.status.st_ino):
            raise FileNotFoundError(f"{entry.name} was exchanged while it was read")
        left = entry.status.st_size
        while left:
            if cancelled():
                raise Cancelled
            piece = os.read(descriptor, min(_PIECE, left))
            if not piece:
                raise OSError(f"{entry.name} became shorter while it was read")
            left -= len(piece)
            yield piece
    finally:
        os.close(descriptor)


def tar_gz(contents: Contents, cancelled: Callable[[], bool] = _never) -> Iterator[bytes]:
    """The archive as a stream. Equal contents give equal bytes: owners and times are left out. Raises Cancelled."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for piece in _tar(contents, cancelled):
        if packed := compressor.compress(piece):
            yield packed
    yield compressor.flush()


def _walk(folder: Folder, skipped: list[str]) -> Iterator[Entry]:
    """The entries below a folder."""
    waiting = [""]
    while waiting:
        name = waiting.pop()
        try:
            descriptor = open_beneath(folder.root, f"{folder.path}/{name}", DIRECTORY)
        except OSError as error:
            # The folder itself may be away, or no folder any more: user code may remove what it was given.
            if name:
                skipped.append(f"{name}: {error.strerror}")
            continue
        try:
            with os.scandir(descriptor) as scan:
                children = [(child.name, child.stat(follow_symlinks=False)) for child in _present(scan)]
            for child, status in children:
                path = f"{name}/{child}" if name else child
                if entry := _entry(folder, descriptor, path, child, status, skipped):
                    yield entry
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(path)
        finally:
            os.close(descriptor)


def _present(scan: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """Those that were not removed between being listed and being looked at."""
    for child in scan:
        try:
            child.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield child


def _entry(
    folder: Folder, parent: int, name: str, child: str, status: os.stat_result, skipped: list[str]
) -> Entry | None:
    """What of a child belongs into an archive; None, and a reason in ``skipped``, where nothing does."""
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        try:
            link = os.readlink(child, dir_fd=parent)
        except OSError as error:
            skipped.append(f"{name}: {error.strerror}")
            return None
        if _stays_inside(name, link):
            return Entry(name, folder, status, link)
        skipped.append(f"{name}: a link to {link}, outside of its folder")
    elif stat.S_ISDIR(mode) and name.count("/") >= MOST_LEVELS:
        skipped.append(f"{name}: more than {MOST_LEVELS} folders deep")
    elif stat.S_ISDIR(mode) or stat.S_ISREG(mode):
        return Entry(name, folder, status)
    else:
        skipped.append(f"{name}: neither file, folder nor link")
    return None


def _stays_inside(name: str, link: str) -> bool:
    if link.startswith("/"):
        return False
    depth = len(PurePosixPath(name).parts) - 1
    for part in PurePosixPath(link).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True


def _tar(contents: Contents, cancelled: Callable[[], bool]) -> Iterator[bytes]:
    for entry in contents.entries:
        yield _header(entry).tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if entry.is_file:
            yield from read_entry(entry, cancelled)
            yield bytes(-entry.status.st_size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.name)
    mode = entry.status.st_mode
    info.mode = stat.S_IMODE(mode) & 0o777
    if entry.link:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
    elif stat.S_ISDIR(mode):
        info.type = tarfile.DIRTYPE
    else:
        info.size = entry.status.st_size
    return info
