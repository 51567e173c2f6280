"""Folders as tar.gz streams: deterministic, nothing of the folder's outside, constant memory.

The folder was written by user code and is read by the platform, perhaps as root: links are never followed, and files
are opened so that they cannot be exchanged for links on the way.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_PIECE = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
#: Weights hardly compress; a higher level costs several times the time for a few percent.
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or symbolic link of a folder, under its archive name."""

    name: str
    path: Path
    status: os.stat_result
    link: str = ""


@dataclass(slots=True)
class Contents:
    """What goes into an archive, in order of names; ``skipped`` tells what does not and why."""

    entries: list[Entry] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def files(self) -> list[Entry]:
        return [entry for entry in self.entries if stat.S_ISREG(entry.status.st_mode)]


def contents_of(folders: Sequence[Path]) -> Contents:
    """Everything below the folders as if they were one; of equal names the first folder's counts."""
    found: dict[str, Entry] = {}
    contents = Contents()
    for folder in folders:
        for entry in _walk(folder, "", contents.skipped):
            found.setdefault(entry.name, entry)
    contents.entries = [found[name] for name in sorted(found)]
    return contents


def _walk(folder: Path, prefix: str, skipped: list[str]) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as scan:
            children = sorted(scan, key=lambda child: child.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for child in children:
        name = f"{prefix}{child.name}"
        status = child.stat(follow_symlinks=False)
        mode = status.st_mode
        if stat.S_ISLNK(mode):
            link = str(Path(child.path).readlink())
            if _stays_inside(name, link):
                yield Entry(name, Path(child.path), status, link)
            else:
                skipped.append(f"{name}: a link to {link}, outside of its folder")
        elif stat.S_ISDIR(mode):
            yield Entry(name, Path(child.path), status)
            yield from _walk(Path(child.path), f"{name}/", skipped)
        elif stat.S_ISREG(mode):
            yield Entry(name, Path(child.path), status)
        else:
            skipped.append(f"{name}: neither file, folder nor link")


def _stays_inside(name: str, link: str) -> bool:
    if link.startswith("/"):
        return False
    depth = len(PurePosixPath(name).parts) - 1
    for part in PurePosixPath(link).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True


def open_entry(entry: Entry) -> int:
    """A descriptor of a file that is still the one that was found."""
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if (status.st_dev, status.st_ino) != (entry.status.st_dev, entry.status.st_ino):
        os.close(descriptor)
        raise FileNotFoundError(f"{entry.path} was exchanged while it was read")
    return descriptor


def read_entry(entry: Entry) -> Iterator[bytes]:
    """A file's bytes, as many as it had when it was found."""
    descriptor = open_entry(entry)
    try:
        left = entry.status.st_size
        while left:
            piece = os.read(descriptor, min(_PIECE, left))
            if not piece:
                raise OSError(f"{entry.path} became shorter while it was read")
            left -= len(piece)
            yield piece
    finally:
        os.close(descriptor)


def tar_gz(contents: Contents) -> Iterator[bytes]:
    """The archive as a stream. Equal contents give equal bytes: owners and times are left out."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for piece in _tar(contents):
        if packed := compressor.compress(piece):
            yield packed
    yield compressor.flush()


def _tar(contents: Contents) -> Iterator[bytes]:
    for entry in contents.entries:
        yield _header(entry).tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if stat.S_ISREG(entry.status.st_mode):
            yield from read_entry(entry)
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
