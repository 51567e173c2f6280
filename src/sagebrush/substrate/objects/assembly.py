"""Parts that are written where the finished object needs them.

Clients cut an upload into parts of one size, so part *n* belongs at ``(n - 1) * size``. Each upload has one assembly
file; a part that fits its slot is written straight into it, and when all parts turn out to lie there back to back,
completing the upload moves no data. Whatever does not fit (another size, a repeated part, a slot in use) goes to a
file of its own and is copied at the end.

Safety: a writer holds a lock on its byte range (an open-file-description lock: it works between processes and ends
with the descriptor) until its row is committed, and looks for rows of acknowledged parts only once it has the lock.
So an acknowledged byte is never written again. Completing takes the lock on the whole file.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from sagebrush.substrate.objects.files import Files
from sagebrush.substrate.objects.incoming import Place
from sagebrush.substrate.objects.info import PartInfo
from sagebrush.substrate.objects.tables import parts

#: Slots beyond this are not worth a sparse file; file systems end somewhere behind it.
MAX_ASSEMBLY_BYTES = 1 << 42

#: Smaller parts can only be last parts: they do not tell the size of the slots.
MIN_SLOT_BYTES = 5 << 20


@dataclass(frozen=True, slots=True)
class Reservation:
    """A locked slot; :meth:`release` after the part's row is committed, or when the part has failed."""

    place: Place

    def release(self) -> None:
        """End the lock."""
        os.close(self.place.descriptor)


class Assemblies:
    """Hands out slots of assembly files."""

    def __init__(self, files: Files):
        self._files = files
        self._mutex = threading.Lock()
        self._slot_bytes: dict[str, int] = {}

    def reserve(self, upload_id: str, file: str, number: int, size: int, conn: Connection) -> Reservation | None:
        """The slot of a part of ``size`` bytes, locked; None when the part needs a file of its own."""
        slot = self._slot(upload_id, file, size, conn)
        offset = (number - 1) * slot
        if size > slot or size == 0 or offset + size > MAX_ASSEMBLY_BYTES:
            return None
        try:
            descriptor = os.open(self._files.path(file), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return None
        if _lock(descriptor, offset, size):
            return Reservation(Place(file, descriptor, offset))
        os.close(descriptor)
        return None

    def adopt(self, file: str, listed: Sequence[PartInfo]) -> int | None:
        """A descriptor that locks the whole file, if the listed parts are exactly its content; else None."""
        position = 0
        for part in listed:
            if part.file != file or part.offset != position:
                return None
            position += part.size
        descriptor = os.open(self._files.path(file), os.O_RDWR | os.O_CLOEXEC)
        if _lock(descriptor, 0, 0) and os.fstat(descriptor).st_size == position:
            os.fchmod(descriptor, 0o444)
            return descriptor
        os.close(descriptor)
        return None

    def forget(self, upload_id: str) -> None:
        """The upload is over."""
        with self._mutex:
            self._slot_bytes.pop(upload_id, None)

    def _slot(self, upload_id: str, file: str, size: int, conn: Connection) -> int:
        """The slots' size: what the first big part of the upload was, in this process or before it."""
        with self._mutex:
            known = self._slot_bytes.get(upload_id)
        if known is None:
            placed = select(parts.c.number, parts.c.position).where(
                parts.c.upload == upload_id, parts.c.file == file, parts.c.position > 0
            )
            row = conn.execute(placed.limit(1)).first()
            known = row.position // (row.number - 1) if row is not None else size if size >= MIN_SLOT_BYTES else 0
        with self._mutex:
            return self._slot_bytes.setdefault(upload_id, known) if known else 0


def _lock(descriptor: int, start: int, length: int) -> bool:
    """Lock a range for this descriptor; False when somebody has it, or where the system has no such locks."""
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return False
    request = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
    except (BlockingIOError, PermissionError):
        return False
    return True
