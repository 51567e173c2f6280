"""Bytes on their way into the store."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from sagebrush.substrate.objects import errors
from sagebrush.substrate.objects.checksums import Hashes
from sagebrush.substrate.objects.files import Files
from sagebrush.substrate.objects.inline import INLINE_BYTES, Names
from sagebrush.substrate.store import StoreUnavailable

#: Files up to this size are synced in groups; a bigger one is synced on its own so that nobody waits for it.
GROUPED_BYTES = 1 << 20

CHUNK = 1 << 20

#: The disk is asked for room once for so many bytes.
ROOM_STEP = 4 << 20

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DATABASE_FULL = "database or disk is full"
_NO_KERNEL_COPY = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn "no space left", from files or from the index, into the CallerError that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise errors.disk_full() from error
        raise
    except (DatabaseError, StoreUnavailable) as error:
        # SQLite rolls the transaction back before it says so: nothing of it was kept.
        if _DATABASE_FULL in str(error):
            raise errors.disk_full() from error
        raise


@dataclass(frozen=True, slots=True)
class Place:
    """A reserved range of an existing file (see :mod:`.assembly`); the descriptor belongs to who reserved it."""

    file: str
    descriptor: int
    offset: int


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes that have all arrived: not yet an object.

    Either they lie in ``file`` and are durable, or they are ``content``, to be committed with the object's row.
    """

    file: str
    size: int
    digests: dict[str, bytes]
    offset: int = 0
    #: Whether the bytes lie in a place of an upload's assembly file instead of a file of their own.
    placed: bool = False
    content: bytes | None = None

    @property
    def etag(self) -> str:
        """S3's ETag of data sent in one piece."""
        return self.digests["MD5"].hex()


class Incoming:
    """Takes bytes, hashing them on the way: into memory while they are few, else into a new file or a reserved place.

    One thread at a time. Either :meth:`finish` and then commit a row for what was received, or :meth:`discard`.
    """

    def __init__(
        self, files: Files, algorithms: Iterable[str] = (), *, place: Place | None = None, small: Names | None = None
    ):
        self._files = files
        self._hashes = Hashes(algorithms)
        self._digests: dict[str, bytes] | None = None
        self._size = 0
        self._room = 0
        self._place = place
        self._small = small
        self._few: bytearray | None = bytearray() if small is not None else None
        self._file, self._descriptor = (place.file, place.descriptor) if place is not None else ("", -1)
        if place is None and small is None:
            self._create()

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._size

    def write(self, data: bytes) -> None:
        """Take bytes. Raises CallerError InsufficientStorage when the disk is full."""
        self._hashes.update(data)
        if self._few is not None:
            self._few += data
            if len(self._few) <= INLINE_BYTES:
                self._size += len(data)
                return
            data, self._few = bytes(self._few), None
            self._size = 0
            self._create()
        self._append(data)

    def digests(self) -> dict[str, bytes]:
        """The digests of what was taken, by algorithm; nothing more can be taken."""
        if self._digests is None:
            self._digests = self._hashes.finish()
        return self._digests

    def finish(self) -> Received:
        """Make everything in a file durable. It is no object yet; after a crash it is an orphan and swept."""
        if self._few is not None and self._small is not None:
            return Received(self._small.new(), self._size, self.digests(), content=bytes(self._few))
        with disk_errors():
            if self._place is not None or self._size > GROUPED_BYTES:
                os.fsync(self._descriptor)
                self._files.sync(self._file, None)
            else:
                self._files.sync(self._file, self._descriptor)
        self._close()
        if self._place is not None:
            return Received(self._file, self._size, self.digests(), self._place.offset, placed=True)
        return Received(self._file, self._size, self.digests())

    def discard(self) -> None:
        """Forget the bytes; harmless after :meth:`finish` has failed."""
        self._close()
        if self._place is None and self._file:
            self._files.unlink(self._file)

    def _append(self, data: bytes) -> None:
        start = self._place.offset if self._place is not None else 0
        view = memoryview(data)
        with disk_errors():
            self._room -= len(data)
            if self._room < 0:
                self._files.require_room(len(data) + ROOM_STEP)
                self._room = ROOM_STEP
            while view:
                written = os.pwrite(self._descriptor, view, start + self._size)
                self._size += written
                view = view[written:]

    def _create(self) -> None:
        with disk_errors():
            self._file, self._descriptor = self._files.create()

    def _close(self) -> None:
        if self._place is None and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def pieces(source: Path | bytes | Iterable[bytes]) -> Iterator[bytes]:
    """Any source as chunks of at most 1 MiB where it is ours to cut."""
    if isinstance(source, bytes | bytearray | memoryview):
        if source:
            yield bytes(source)
    elif isinstance(source, Path):
        with source.open("rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    else:
        yield from source


def copy_range(source: int, start: int, length: int, target: int) -> None:
    """Append a range of one file to another within the kernel where that works, else through memory."""
    while length > 0:
        try:
            copied = os.copy_file_range(source, target, min(length, 1 << 30), offset_src=start)
        except (OSError, AttributeError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_KERNEL_COPY:
                raise
            copied = os.write(target, os.pread(source, min(length, CHUNK), start))
        if copied == 0:
            raise OSError(errno.EIO, "a part's file ends before the part does")
        start += copied
        length -= copied
