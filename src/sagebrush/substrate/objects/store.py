"""The object store: buckets of immutable objects over one directory and one index."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO, FileIO, RawIOBase
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, delete, insert, select, update

from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import checksums, errors, rows
from sagebrush.substrate.objects.files import Files
from sagebrush.substrate.objects.incoming import Incoming, Received, copy_range, disk_errors, pieces
from sagebrush.substrate.objects.info import (
    DEFAULT_CONTENT_TYPE,
    Attributes,
    BucketInfo,
    Checksums,
    ObjectInfo,
    Page,
    WriteCondition,
)
from sagebrush.substrate.objects.inline import Names, Shown, is_inline
from sagebrush.substrate.objects.listing import list_page, successor
from sagebrush.substrate.objects.names import check_bucket, encode_key
from sagebrush.substrate.objects.sweeping import Sweeper
from sagebrush.substrate.objects.tables import buckets, objects, uploads
from sagebrush.substrate.objects.uploads import Uploads
from sagebrush.substrate.store import Store

T = TypeVar("T")

AFTER_FILE_SYNC = faultpoints.declare("objects.after-file-sync")
AFTER_INDEX_COMMIT = faultpoints.declare("objects.after-index-commit")
AFTER_DELETE = faultpoints.declare("objects.after-delete-commit")

_NO_CONDITION = WriteCondition()


class ObjectStore:
    """Buckets and objects; several processes may use one directory at a time. Thread-safe.

    A write that returns is durable: file, directory entry and index row. A path handed out by :meth:`path` stays valid
    for ``sweeping.GRACE_US`` after its object was replaced or deleted, and for longer while it is pinned (:meth:`pin`).

    Raises CallerError with S3's codes (see :mod:`.errors`), ``InsufficientStorage`` among them when the disk is full.
    """

    def __init__(self, root: Path, index: Store, clock: Clock):
        self._files = Files(root)
        self._index = index
        self._clock = clock
        self.uploads = Uploads(self._files, index, clock)
        self._shown = Shown(root)
        self._names = Names(clock)
        self._sweeper = Sweeper(self._files, self._shown, index, clock)

    # -- life -----------------------------------------------------------------------------------------------------

    def start_sweeping(self) -> None:
        """Remove orphans of dead processes and, from time to time, files in the trash; in a thread of its own."""
        self._sweeper.start()

    def sweep(self) -> None:
        """One round of sweeping, in the caller's thread."""
        self._sweeper.sweep()

    def close(self) -> None:
        """Stop sweeping and let go of the directory. The index stays the caller's to close."""
        self._sweeper.stop()
        self._files.close()

    @property
    def syncs(self) -> tuple[int, int]:
        """Group syncs so far and the files made durable by them."""
        return self._files.group.batches, self._files.group.files

    # -- buckets --------------------------------------------------------------------------------------------------

    def create_bucket(self, name: str, *, account: str, region: str) -> BucketInfo:
        """Create a bucket. As in S3, the owner's repetition succeeds in us-east-1 and fails elsewhere."""
        check_bucket(name)
        info = BucketInfo(name, account, region, self._clock.now_us())

        def write(conn: Connection) -> BucketInfo:
            row = conn.execute(select(buckets).where(buckets.c.name == name)).first()
            if row is None:
                values = {"name": name, "account": account, "region": region, "created_us": info.created_us}
                conn.execute(insert(buckets).values(body="{}", **values))
                return info
            if row.account != account:
                raise errors.bucket_already_exists(name)
            if region != "us-east-1":
                raise errors.bucket_already_owned(name)
            return rows.decode_bucket(row)

        return self._write(write)

    def head_bucket(self, name: str) -> BucketInfo:
        """The bucket, or CallerError NoSuchBucket."""
        return self._index.read(lambda conn: rows.fetch_bucket(conn, name))

    def list_buckets(
        self, account: str, *, prefix: str = "", start_after: str = "", limit: int = 10_000
    ) -> Sequence[BucketInfo]:
        """An account's buckets by name."""
        found = select(buckets).where(buckets.c.account == account, buckets.c.name > start_after)
        if prefix:
            found = found.where(buckets.c.name.startswith(prefix, autoescape=True))
        statement = found.order_by(buckets.c.name).limit(limit)
        return self._index.read(lambda conn: [rows.decode_bucket(row) for row in conn.execute(statement)])

    def delete_bucket(self, name: str) -> None:
        """Delete an empty bucket. Raises CallerError NoSuchBucket or BucketNotEmpty."""

        def write(conn: Connection) -> None:
            rows.fetch_bucket(conn, name)
            for table in (objects, uploads):
                if conn.execute(select(table.c.bucket).where(table.c.bucket == name).limit(1)).first() is not None:
                    raise errors.bucket_not_empty(name)
            conn.execute(delete(buckets).where(buckets.c.name == name))

        self._write(write)

    def tag_bucket(self, name: str, tags: Mapping[str, str]) -> None:
        """Replace a bucket's tags."""

        def write(conn: Connection) -> None:
            info = rows.fetch_bucket(conn, name)
            body = json.dumps({"tags": dict(tags), "versioning": info.versioning})
            conn.execute(update(buckets).where(buckets.c.name == name).values(body=body))

        self._write(write)

    # -- writing --------------------------------------------------------------------------------------------------

    def incoming(self, algorithms: Iterable[str] = ()) -> Incoming:
        """Begin to take the bytes of an object; for those who stream. End it with :meth:`commit` or ``discard``."""
        return Incoming(self._files, {*algorithms, checksums.DEFAULT}, small=self._names)

    def commit(
        self,
        bucket: str,
        key: str,
        received: Received,
        *,
        attributes: Attributes | None = None,
        algorithm: str = checksums.DEFAULT,
        condition: WriteCondition = _NO_CONDITION,
    ) -> ObjectInfo:
        """Make a received file the object of that key; durable when it returns.

        Raises CallerError NoSuchBucket, PreconditionFailed; the file is removed then.
        """
        faultpoints.reach(AFTER_FILE_SYNC)
        try:
            encode_key(key)
            if received.content is not None:
                with disk_errors():
                    self._files.require_room(received.size)
            info = ObjectInfo(
                bucket=bucket,
                key=key,
                size=received.size,
                etag=received.etag,
                modified_us=self._clock.now_us(),
                file=received.file,
                attributes=attributes or Attributes(),
                checksums=Checksums({algorithm: checksums.encode(received.digests[algorithm])}),
            )
            replaced = self._write(lambda conn: rows.store_object(conn, info, condition, received.content))
        except CallerError:
            if received.content is None:
                self._files.unlink(received.file)
            raise
        faultpoints.reach(AFTER_INDEX_COMMIT)
        self._cool(replaced)
        return info

    def put(
        self,
        bucket: str,
        key: str,
        source: Path | bytes | Iterable[bytes],
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        attributes: Attributes | None = None,
        condition: WriteCondition = _NO_CONDITION,
    ) -> ObjectInfo:
        """Store an object; durable when it returns. ``attributes`` says more than type and metadata and wins."""
        encode_key(key)
        self.head_bucket(bucket)
        incoming = self.incoming()
        try:
            for piece in pieces(source):
                incoming.write(piece)
            received = incoming.finish()
        except BaseException:
            incoming.discard()
            raise
        chosen = attributes or Attributes(content_type=content_type, metadata=metadata or {})
        return self.commit(bucket, key, received, attributes=chosen, condition=condition)

    def copy(
        self,
        source: ObjectInfo,
        bucket: str,
        key: str,
        *,
        attributes: Attributes | None = None,
        condition: WriteCondition = _NO_CONDITION,
    ) -> ObjectInfo:
        """Copy an object without moving data: a second name for the same immutable file.

        ETag and checksums stay the source's, also those of a multipart object. ``attributes`` replace the source's.
        """
        encode_key(key)
        file, content = self._second(source)
        info = replace(
            source,
            bucket=bucket,
            key=key,
            modified_us=self._clock.now_us(),
            file=file,
            attributes=attributes or source.attributes,
            upload_id="",
        )
        try:
            replaced = self._write(lambda conn: rows.store_object(conn, info, condition, content))
        except CallerError:
            if content is None:
                self._files.unlink(file)
            raise
        self._cool(replaced)
        return info

    def delete(self, bucket: str, key: str, *, if_match: str = "") -> bool:
        """Delete an object; whether there was one."""
        return self.delete_many(bucket, [key], if_match=if_match)[0]

    def delete_many(self, bucket: str, keys: Sequence[str], *, if_match: str = "") -> Sequence[bool]:
        """Delete objects in one transaction; which of them there were."""
        encoded = [encode_key(key) for key in keys]
        now = self._clock.now_us()
        gone = self._write(
            lambda conn: [rows.delete_object(conn, bucket, key, now, if_match) for key in encoded],
        )
        faultpoints.reach(AFTER_DELETE)
        self._cool(*gone)
        return [file is not None for file in gone]

    def tag(self, bucket: str, key: str, tags: Mapping[str, str]) -> ObjectInfo:
        """Replace an object's tags; neither its ETag nor its time of modification change."""
        encoded = encode_key(key)

        def write(conn: Connection) -> ObjectInfo:
            info = rows.fetch_object(conn, bucket, encoded)
            info = replace(info, attributes=replace(info.attributes, tags=dict(tags)))
            rows.replace_body(conn, info)
            return info

        return self._write(write)

    # -- reading --------------------------------------------------------------------------------------------------

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """The object, or CallerError NoSuchBucket or NoSuchKey."""
        encoded = encode_key(key)
        return self._index.read(lambda conn: rows.fetch_object(conn, bucket, encoded))

    def get(self, bucket: str, key: str) -> tuple[ObjectInfo, bytes | None]:
        """The object and, when it is a small one, its bytes; of a bigger one open the :meth:`path`."""
        encoded = encode_key(key)
        return self._index.read(lambda conn: rows.fetch_with_content(conn, bucket, encoded))

    def open(self, bucket: str, key: str) -> tuple[ObjectInfo, RawIOBase | BytesIO]:
        """The object and its bytes, open for reading: they stay readable whatever happens to the object."""
        while True:
            info, content = self.get(bucket, key)
            if content is not None:
                return info, BytesIO(content)
            try:
                return info, FileIO(self._files.path(info.file))
            except FileNotFoundError:
                # Replaced and swept between the two lines; if not, the store has lost a file and must say so.
                if self.head(bucket, key).file == info.file:
                    raise

    def path(self, info: ObjectInfo) -> Path:
        """The immutable file of an object; it may be bind-mounted read-only, never written or linked.

        Raises CallerError NoSuchKey when a small object was replaced or deleted before its path was asked for.
        """
        if not is_inline(info.file):
            return self._files.path(info.file)
        path = self._shown.path(info.file)
        if not path.exists():
            content = self._index.read(lambda conn: rows.fetch_content(conn, info.file))
            if content is None:
                raise errors.no_such_key(info.key)
            with disk_errors():
                self._shown.show(info.file, content)
        return path

    def pin(self, infos: Sequence[ObjectInfo], holder: str) -> None:
        """Keep the objects' files at their paths until :meth:`unpin`, even when objects are replaced or deleted.

        ``holder`` is any text that names the job. Raises CallerError NoSuchKey when a file is gone already.
        """
        if infos:
            self._write(lambda conn: rows.pin(conn, infos, holder))
            for info in infos:
                if is_inline(info.file):
                    self.path(info)

    def unpin(self, holder: str) -> None:
        """Let go of everything the holder has pinned."""
        self._write(lambda conn: rows.unpin(conn, holder))

    def list(
        self, bucket: str, prefix: str = "", *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> Page:
        """One page of a listing in the order of the keys' UTF-8 bytes. Raises CallerError NoSuchBucket."""

        def look(conn: Connection) -> Page:
            rows.fetch_bucket(conn, bucket)
            return list_page(
                conn,
                bucket,
                prefix.encode(),
                start_after=start_after.encode(),
                delimiter=delimiter.encode(),
                limit=limit,
            )

        return self._index.read(look)

    def iterate(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects under a prefix, in order, a thousand in memory at a time."""
        first: bytes = prefix.encode()
        end = successor(first) if first else None
        self.head_bucket(bucket)
        while True:
            batch = self._index.read(lambda conn, first=first: _fetch_from(conn, bucket, first, end))  # type: ignore[misc]
            yield from batch
            if len(batch) < _BATCH:
                return
            first = batch[-1].key.encode() + b"\0"

    # -- inside ---------------------------------------------------------------------------------------------------

    def _cool(self, *files: str | None) -> None:
        self._files.cool(file for file in files if file is not None and not is_inline(file))

    def _write(self, write: Callable[[Connection], T]) -> T:
        with disk_errors():
            return self._index.write(write)

    def _second(self, source: ObjectInfo) -> tuple[str, bytes | None]:
        """A durable second name for an object's file, or a name and the content for an inline one."""
        if is_inline(source.file):
            content = self._index.read(lambda conn: rows.fetch_content(conn, source.file))
            if content is None:
                raise errors.no_such_key(source.key)
            return self._names.new(), content
        with disk_errors():
            self._files.require_room(0)
            try:
                file = self._files.link(source.file)
            except FileNotFoundError:
                raise errors.no_such_key(source.key) from None
            except OSError:
                # Too many links, or a file system without them: copy the bytes.
                file = self._copied_file(source)
            self._files.sync(file, None)
        return file, None

    def _copied_file(self, source: ObjectInfo) -> str:
        file, descriptor = self._files.create()
        try:
            with FileIO(self._files.path(source.file)) as stream:
                copy_range(stream.fileno(), 0, source.size, descriptor)
            os.fsync(descriptor)
        except BaseException:
            self._files.unlink(file)
            raise
        finally:
            os.close(descriptor)
        return file


_BATCH = 1000


def _fetch_from(conn: Connection, bucket: str, first: bytes, end: bytes | None) -> Sequence[ObjectInfo]:
    found = select(objects).where(objects.c.bucket == bucket, objects.c.key >= first)
    if end is not None:
        found = found.where(objects.c.key < end)
    return [rows.decode_object(row) for row in conn.execute(found.order_by(objects.c.key).limit(_BATCH))]
