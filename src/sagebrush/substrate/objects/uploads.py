"""Multipart uploads: parts arrive in any order and become one immutable file when the upload is completed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import checksums, errors, rows, upload_rows
from sagebrush.substrate.objects.assembly import Assemblies, Reservation
from sagebrush.substrate.objects.completing import check_whole, choose_parts, describe
from sagebrush.substrate.objects.files import Files
from sagebrush.substrate.objects.incoming import Incoming, Received, copy_range, disk_errors, pieces
from sagebrush.substrate.objects.info import (
    Attributes,
    Checksums,
    CompletedPart,
    ObjectInfo,
    PartInfo,
    UploadInfo,
    WriteCondition,
)
from sagebrush.substrate.objects.inline import is_inline
from sagebrush.substrate.objects.names import encode_key
from sagebrush.substrate.store import Store

MAX_PARTS = 10_000

AFTER_PART_SYNC = faultpoints.declare("objects.after-part-sync")
AFTER_PART_COMMIT = faultpoints.declare("objects.after-part-commit")
AFTER_ASSEMBLY = faultpoints.declare("objects.after-assembly")
AFTER_COMPLETE = faultpoints.declare("objects.after-complete")


class IncomingPart:
    """A part on its way in: write, then finish, then commit; or discard at any point before the commit."""

    def __init__(self, uploads: Uploads, upload: UploadInfo, number: int, algorithms: Iterable[str], size: int | None):
        self._uploads = uploads
        self._upload = upload
        self._number = number
        self._size = size
        self._reservation = uploads.reserve(upload, number, size) if size is not None else None
        place = self._reservation.place if self._reservation is not None else None
        self._incoming = Incoming(uploads.files, algorithms, place=place)

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._incoming.size

    def write(self, data: bytes) -> None:
        """Take bytes. More than was announced is refused: a placed part would leave its slot."""
        if self._size is not None and self.size + len(data) > self._size:
            raise errors.incomplete_body()
        self._incoming.write(data)

    def digests(self) -> dict[str, bytes]:
        """The digests of what was taken, by algorithm; nothing more can be taken."""
        return self._incoming.digests()

    def finish(self) -> Received:
        """Make the bytes durable; they are no part yet."""
        received = self._incoming.finish()
        faultpoints.reach(AFTER_PART_SYNC)
        return received

    def commit(self, received: Received) -> PartInfo:
        """Record the part: from now on it can be listed and completed. Raises CallerError NoSuchUpload."""
        try:
            return self._uploads.record(self._upload, self._number, received)
        finally:
            self._release()

    def discard(self) -> None:
        """Forget the bytes."""
        self._incoming.discard()
        self._release()

    def _release(self) -> None:
        if self._reservation is not None:
            self._reservation.release()
            self._reservation = None


class Uploads:
    """The multipart uploads of a store. Thread-safe."""

    def __init__(self, files: Files, index: Store, clock: Clock):
        self.files = files
        self._index = index
        self._clock = clock
        self._assemblies = Assemblies(files)

    def create(
        self,
        bucket: str,
        key: str,
        *,
        attributes: Attributes | None = None,
        algorithm: str = "",
        checksum_type: str = "",
    ) -> UploadInfo:
        """Start an upload. Raises CallerError NoSuchBucket."""
        encode_key(key)
        kind = checksum_type or checksums.default_type(algorithm or checksums.DEFAULT)
        now = self._clock.now_us()
        info = UploadInfo(secrets.token_urlsafe(32), bucket, key, now, attributes or Attributes(), algorithm, kind)
        file = self.files.new_name()
        self._index.write(lambda conn: upload_rows.insert_upload(conn, info, file))
        return info

    def find(self, bucket: str, key: str, upload_id: str) -> UploadInfo:
        """The upload, or CallerError NoSuchBucket or NoSuchUpload."""
        return self._index.read(lambda conn: upload_rows.fetch_upload(conn, bucket, key, upload_id)[0])

    def incoming(
        self, upload: UploadInfo, number: int, *, algorithms: Iterable[str] = (), size: int | None = None
    ) -> IncomingPart:
        """Begin a part. ``size`` in bytes, where it is known before, saves a copy at the end."""
        if not 1 <= number <= MAX_PARTS:
            raise errors.invalid_argument(
                "Part number must be an integer between 1 and 10000, inclusive", "partNumber", str(number)
            )
        return IncomingPart(self, upload, number, {*algorithms, upload.algorithm or checksums.DEFAULT}, size)

    def put_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        source: Path | bytes | Iterable[bytes],
        *,
        size: int | None = None,
    ) -> PartInfo:
        """Store one part; durable when it returns."""
        part = self.incoming(self.find(bucket, key, upload_id), number, size=size)
        try:
            for piece in pieces(source):
                part.write(piece)
            received = part.finish()
        except BaseException:
            part.discard()
            raise
        return part.commit(received)

    def reserve(self, upload: UploadInfo, number: int, size: int) -> Reservation | None:
        """The part's slot in the assembly file, if it can have it."""

        def look(conn: Connection) -> Reservation | None:
            file = upload_rows.assembly_file(conn, upload.upload_id)
            if file is None:
                return None
            return self._assemblies.reserve(upload.upload_id, file, number, size, conn)

        with disk_errors():
            reservation = self._index.read(look)
        if reservation is None:
            return None
        place = reservation.place
        # A second snapshot, taken under the lock: it shows every part acknowledged before the lock was ours.
        start, end = place.offset, place.offset + size
        if self._index.read(lambda conn: upload_rows.is_free(conn, upload.upload_id, start, end)):
            return reservation
        reservation.release()
        return None

    def record(self, upload: UploadInfo, number: int, received: Received) -> PartInfo:
        """Commit a received part, replacing an earlier one of that number."""
        algorithm = upload.algorithm or checksums.DEFAULT
        info = PartInfo(
            number=number,
            size=received.size,
            etag=received.etag,
            modified_us=self._clock.now_us(),
            file=received.file,
            offset=received.offset,
            checksums={algorithm: checksums.encode(received.digests[algorithm])},
        )
        try:
            with disk_errors():
                self._index.write(lambda conn: upload_rows.store_part(conn, upload.upload_id, info))
        except CallerError:
            if not received.placed:
                self.files.unlink(received.file)
            raise
        faultpoints.reach(AFTER_PART_COMMIT)
        return info

    def parts_of(
        self, bucket: str, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> tuple[UploadInfo, list[PartInfo]]:
        """The upload and its parts so far, by number, at most ``limit`` behind part ``after``."""

        def look(conn: Connection) -> tuple[UploadInfo, list[PartInfo]]:
            upload, _ = upload_rows.fetch_upload(conn, bucket, key, upload_id)
            return upload, upload_rows.list_parts(conn, upload_id, after, limit)

        return self._index.read(look)

    def in_progress(
        self, bucket: str, prefix: str = "", *, after_key: str = "", after_id: str = "", limit: int = 1000
    ) -> list[UploadInfo]:
        """Uploads in progress in the order of (key, upload id), behind the given one."""
        return self._index.read(lambda conn: upload_rows.list_uploads(conn, bucket, prefix, after_key, after_id, limit))

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Give an upload up. Raises CallerError NoSuchUpload."""

        def write(conn: Connection) -> list[str]:
            upload_rows.fetch_upload(conn, bucket, key, upload_id)
            return upload_rows.close_upload(conn, upload_id, keep="")

        self._remove(self._index.write(write))
        self._assemblies.forget(upload_id)

    def complete(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        listed: Sequence[CompletedPart],
        *,
        condition: WriteCondition | None = None,
        expected: Checksums | None = None,
        size: int | None = None,
    ) -> ObjectInfo:
        """Make one object of exactly the listed parts; durable when it returns.

        ``expected`` are checksums of the whole object and ``size`` its length, as the client knows them. A repeat of
        a completion that succeeded answers the same again. Raises CallerError InvalidPart, InvalidPartOrder,
        EntityTooSmall, NoSuchUpload, BadDigest, PreconditionFailed.
        """
        if (repeated := self._completed_before(bucket, key, upload_id, listed)) is not None:
            return repeated

        def look(conn: Connection) -> tuple[UploadInfo, str, list[PartInfo]]:
            upload, file = upload_rows.fetch_upload(conn, bucket, key, upload_id)
            return upload, file, upload_rows.list_parts(conn, upload_id, 0, MAX_PARTS)

        upload, file, present = self._index.read(look)
        chosen = choose_parts(listed, {part.number: part for part in present}, upload)
        check_whole(describe(upload, chosen, "", 0), expected or Checksums(), size)
        return self._assemble(upload, file, chosen, condition or WriteCondition())

    def _assemble(self, upload: UploadInfo, file: str, chosen: list[PartInfo], condition: WriteCondition) -> ObjectInfo:
        descriptor = self._assemblies.adopt(file, chosen)
        try:
            joined = self._join(chosen) if descriptor is None else ""
            faultpoints.reach(AFTER_ASSEMBLY)
            info = describe(upload, chosen, joined or file, self._clock.now_us())

            def write(conn: Connection) -> tuple[str | None, list[str]]:
                upload_rows.fetch_upload(conn, upload.bucket, upload.key, upload.upload_id)
                now = {part.number: part for part in upload_rows.list_parts(conn, upload.upload_id, 0, MAX_PARTS)}
                if any(now.get(part.number) != part for part in chosen):
                    raise errors.invalid_part()
                replaced = rows.store_object(conn, info, condition)
                return replaced, upload_rows.close_upload(conn, upload.upload_id, keep=info.file)

            try:
                with disk_errors():
                    replaced, removable = self._index.write(write)
            except CallerError:
                self._remove([joined] if joined else [])
                raise
        finally:
            if descriptor is not None:
                os.close(descriptor)
        faultpoints.reach(AFTER_COMPLETE)
        self._assemblies.forget(upload.upload_id)
        self._remove(removable)
        if replaced is not None and not is_inline(replaced):
            self.files.cool([replaced])
        return info

    def _join(self, chosen: Sequence[PartInfo]) -> str:
        """Copy parts into one new durable file."""
        with disk_errors():
            self.files.require_room(sum(part.size for part in chosen))
            file, descriptor = self.files.create()
            try:
                for part in chosen:
                    source = os.open(self.files.path(part.file), os.O_RDONLY | os.O_CLOEXEC)
                    try:
                        copy_range(source, part.offset, part.size, descriptor)
                    finally:
                        os.close(source)
                os.fsync(descriptor)
                self.files.sync(file, None)
            except BaseException:
                self.files.unlink(file)
                raise
            finally:
                os.close(descriptor)
        return file

    def _completed_before(
        self, bucket: str, key: str, upload_id: str, listed: Sequence[CompletedPart]
    ) -> ObjectInfo | None:
        """The object, when this very upload was completed to it before: the client repeats an unanswered call."""

        def look(conn: Connection) -> ObjectInfo | None:
            if upload_rows.assembly_file(conn, upload_id) is not None:
                return None
            info = rows.find_object(conn, bucket, encode_key(key))
            same = info is not None and info.upload_id == upload_id and len(info.parts) == len(listed)
            return info if same else None

        return self._index.read(look)

    def _remove(self, files: Iterable[str]) -> None:
        """Unlink files that nobody was ever given the path of. Their trash rows go with the next sweep."""
        for file in files:
            self.files.unlink(file)
