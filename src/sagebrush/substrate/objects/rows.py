"""Objects as rows of the index: short statements for the store's transactions, no files in sight."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    insert,
    select,
    tuple_,
    union_all,
    update,
)

from sagebrush.substrate.objects import errors
from sagebrush.substrate.objects.info import (
    DEFAULT_CONTENT_TYPE,
    Attributes,
    BucketInfo,
    Checksums,
    ObjectInfo,
    WriteCondition,
)
from sagebrush.substrate.objects.inline import content_id, is_inline
from sagebrush.substrate.objects.prepared import Prepared
from sagebrush.substrate.objects.tables import EVERY_FILE, buckets, contents, objects, parts, pins, trash, uploads

#: Databases limit the parameters of one statement.
_PINNED_AT_ONCE = 400
#: ``trash.since_us`` of a file that nobody can have been given the path of: it may go at once.
UNSEEN = 0
#: Databases limit the parameters of one statement.
_PINNED_AT_ONCE = 400
#: ``trash.since_us`` of a file that is being removed: it can no longer be pinned.
DOOMED = -1

_B_BUCKET: BindParameter[Any] = bindparam("b_bucket")
_B_KEY: BindParameter[Any] = bindparam("b_key")

_OF_BUCKET = Prepared(select(buckets).where(buckets.c.name == _B_BUCKET))
_AT_KEY = buckets.outerjoin(objects, and_(objects.c.bucket == buckets.c.name, objects.c.key == _B_KEY))
_TARGET = Prepared(
    select(buckets.c.account, objects.c.etag, objects.c.file).select_from(_AT_KEY).where(buckets.c.name == _B_BUCKET)
)
_OF_KEY = Prepared(select(buckets.c.account, objects).select_from(_AT_KEY).where(buckets.c.name == _B_BUCKET))
_WITH_CONTENT = Prepared(
    select(buckets.c.account, objects, contents.c.data)
    .select_from(_AT_KEY.outerjoin(contents, contents.c.id == objects.c.content))
    .where(buckets.c.name == _B_BUCKET)
)
_CONTENT = Prepared(select(contents.c.data).where(contents.c.id == bindparam("b_id")))
_INSERT_CONTENT = Prepared(insert(contents), ("id", "data"))
_DELETE_CONTENT = Prepared(delete(contents).where(contents.c.id == bindparam("b_id")))
_VALUES = ("size", "etag", "modified_us", "file", "content", "body")
_HERE = and_(objects.c.bucket == _B_BUCKET, objects.c.key == _B_KEY)
_INSERT = Prepared(insert(objects), ("bucket", "key", *_VALUES))
_UPDATE = Prepared(update(objects).where(_HERE), _VALUES)
_DELETE = Prepared(delete(objects).where(_HERE))
_DISCARD = insert(trash)


def encode_attributes(attributes: Attributes) -> dict[str, Any]:
    """The parts of an object's body column that its writer chose; what is empty is left out."""
    body: dict[str, Any] = {}
    if attributes.content_type != DEFAULT_CONTENT_TYPE:
        body["type"] = attributes.content_type
    for name in ("headers", "metadata", "tags"):
        if values := getattr(attributes, name):
            body[name] = dict(values)
    return body


def decode_attributes(body: dict[str, Any]) -> Attributes:
    """The inverse of :func:`encode_attributes`."""
    return Attributes(
        content_type=body.get("type", DEFAULT_CONTENT_TYPE),
        headers=body.get("headers", {}),
        metadata=body.get("metadata", {}),
        tags=body.get("tags", {}),
    )


def _encode(info: ObjectInfo) -> str:
    body = encode_attributes(info.attributes)
    if info.checksums.values:
        body["checksums"] = dict(info.checksums.values)
        body["checksum_kind"] = info.checksums.kind
    if info.parts:
        body["parts"] = list(info.parts)
    if info.upload_id:
        body["upload"] = info.upload_id
    return json.dumps(body)


def decode_object(row: Row[*tuple[Any, ...]]) -> ObjectInfo:
    """A row of ``objects`` as the store's users see it."""
    body = json.loads(row.body)
    return ObjectInfo(
        bucket=row.bucket,
        key=row.key.decode(),
        size=row.size,
        etag=row.etag,
        modified_us=row.modified_us,
        file=row.file,
        attributes=decode_attributes(body),
        checksums=Checksums(body.get("checksums", {}), body.get("checksum_kind", "FULL_OBJECT")),
        parts=tuple(body.get("parts", ())),
        upload_id=body.get("upload", ""),
    )


def decode_bucket(row: Row[*tuple[Any, ...]]) -> BucketInfo:
    """A row of ``buckets`` as the store's users see it."""
    body = json.loads(row.body)
    return BucketInfo(
        row.name, row.account, row.region, row.created_us, body.get("versioning", ""), body.get("tags", {})
    )


def fetch_bucket(conn: Connection, bucket: str) -> BucketInfo:
    """The bucket, or CallerError NoSuchBucket."""
    row = _OF_BUCKET.run(conn, {"b_bucket": bucket}).first()
    if row is None:
        raise errors.no_such_bucket(bucket)
    return decode_bucket(row)


def fetch_object(conn: Connection, bucket: str, key: bytes) -> ObjectInfo:
    """The object, or CallerError NoSuchBucket or NoSuchKey."""
    row = _OF_KEY.run(conn, {"b_bucket": bucket, "b_key": key}).first()
    if row is None:
        raise errors.no_such_bucket(bucket)
    if row.file is None:
        raise errors.no_such_key(key.decode())
    return decode_object(row)


def fetch_with_content(conn: Connection, bucket: str, key: bytes) -> tuple[ObjectInfo, bytes | None]:
    """The object and, when it is a small one, its bytes. Raises as :func:`fetch_object` does."""
    row = _WITH_CONTENT.run(conn, {"b_bucket": bucket, "b_key": key}).first()
    if row is None:
        raise errors.no_such_bucket(bucket)
    if row.file is None:
        raise errors.no_such_key(key.decode())
    return decode_object(row), row.data


def fetch_content(conn: Connection, file: str) -> bytes | None:
    """Inline content by its name; None when it is gone."""
    content: bytes | None = _CONTENT.run(conn, {"b_id": content_id(file)}).scalar()
    return content


def find_object(conn: Connection, bucket: str, key: bytes) -> ObjectInfo | None:
    """The object, if bucket and object are there."""
    row = _OF_KEY.run(conn, {"b_bucket": bucket, "b_key": key}).first()
    return decode_object(row) if row is not None and row.file is not None else None


def store_object(
    conn: Connection, info: ObjectInfo, condition: WriteCondition, content: bytes | None = None
) -> str | None:
    """Make an object visible. The file it replaces goes to the trash and is answered.

    Raises CallerError NoSuchBucket, and as :func:`check_condition` does.
    """
    target = {"b_bucket": info.bucket, "b_key": info.key.encode()}
    now = _TARGET.run(conn, target).first()
    if now is None:
        raise errors.no_such_bucket(info.bucket)
    check_condition(condition, now.etag, info.key)
    number = None
    if content is not None:
        number = content_id(info.file)
        _INSERT_CONTENT.run(conn, {"id": number, "data": content})
    values = {
        "size": info.size,
        "etag": info.etag,
        "modified_us": info.modified_us,
        "file": info.file,
        "content": number,
        "body": _encode(info),
    }
    replaced: str | None = now.file
    if replaced is None:
        _INSERT.run(conn, {"bucket": info.bucket, "key": target["b_key"], **values})
    else:
        _UPDATE.run(conn, {**target, **values})
        discard(conn, [replaced], info.modified_us)
    return replaced


def check_condition(condition: WriteCondition, etag: str | None, key: str) -> None:
    """Check a conditional write against the ETag that is there now (None: nothing is)."""
    if condition.if_none_match and etag is not None:
        raise errors.precondition_failed("If-None-Match")
    if condition.if_match:
        if etag is None:
            raise errors.no_such_key(key)
        if condition.if_match.strip('"') not in (etag, "*"):
            raise errors.precondition_failed("If-Match")


def delete_object(conn: Connection, bucket: str, key: bytes, now_us: int, if_match: str = "") -> str | None:
    """Remove an object if it is there. Its file goes to the trash and is answered; None when there was none."""
    target = {"b_bucket": bucket, "b_key": key}
    now = _TARGET.run(conn, target).first()
    if now is None:
        raise errors.no_such_bucket(bucket)
    check_condition(WriteCondition(if_match=if_match), now.etag, key.decode())
    file: str | None = now.file
    if file is not None:
        _DELETE.run(conn, target)
        discard(conn, [file], now_us)
    return file


def replace_body(conn: Connection, info: ObjectInfo) -> None:
    """Write what the writer says about an object again; its data stays."""
    conn.execute(
        update(objects)
        .where(objects.c.bucket == info.bucket, objects.c.key == info.key.encode())
        .values(body=_encode(info))
    )


def discard(conn: Connection, files: Iterable[str], since_us: int) -> None:
    """Give up what no row names any more: inline content at once, files by putting them in the trash."""
    gone = []
    for file in files:
        if is_inline(file):
            _DELETE_CONTENT.run(conn, {"b_id": content_id(file)})
        else:
            gone.append({"file": file, "since_us": since_us})
    if gone:
        conn.execute(_DISCARD, gone)


def missing_contents(conn: Connection, files: Sequence[str]) -> list[str]:
    """Those names of inline content that neither stand for any content now nor are pinned."""
    numbers = [content_id(file) for file in files]
    there = set(conn.execute(select(contents.c.id).where(contents.c.id.in_(numbers))).scalars())
    pinned = set(conn.execute(select(pins.c.file).where(pins.c.file.in_(files))).scalars())
    return [file for file, number in zip(files, numbers, strict=True) if number not in there and file not in pinned]


def doom(conn: Connection, until_us: int, limit: int, now_us: int) -> list[str]:
    """Files in the trash since before ``until_us`` that nobody has pinned; from now on nobody can.

    While a backup holds every file there are none.
    """
    holds = select(pins.c.holder).where(pins.c.file == EVERY_FILE, pins.c.holder > f"{now_us:020d}")
    if conn.execute(holds.limit(1)).first() is not None:
        return []
    pinned = select(pins.c.file).where(pins.c.file == trash.c.file).exists()
    found = select(trash.c.file, trash.c.since_us).where(trash.c.since_us <= until_us, ~pinned).limit(limit)
    rows = conn.execute(found).all()
    fresh = [row.file for row in rows if row.since_us != DOOMED]
    if fresh:
        conn.execute(update(trash).where(trash.c.file.in_(fresh)).values(since_us=DOOMED))
    return [row.file for row in rows]


def forget(conn: Connection, files: Sequence[str]) -> None:
    """Take removed files off the trash list."""
    conn.execute(delete(trash).where(trash.c.file.in_(files)))


def pin(conn: Connection, infos: Sequence[ObjectInfo], holder: str) -> None:
    """Keep files for their holder. Raises CallerError NoSuchKey when one is already being removed."""
    for start in range(0, len(infos), _PINNED_AT_ONCE):
        wanted = {info.file: info for info in infos[start : start + _PINNED_AT_ONCE]}
        keys = [(info.bucket, info.key.encode()) for info in wanted.values()]
        live = select(objects.c.file).where(tuple_(objects.c.bucket, objects.c.key).in_(keys))
        kept = select(trash.c.file).where(trash.c.file.in_(wanted), trash.c.since_us != DOOMED)
        there = {*conn.execute(live).scalars(), *conn.execute(kept).scalars()}
        if gone := wanted.keys() - there:
            raise errors.no_such_key(wanted[min(gone)].key)
        held = select(pins.c.file).where(pins.c.holder == holder, pins.c.file.in_(wanted))
        if new := wanted.keys() - set(conn.execute(held).scalars()):
            conn.execute(insert(pins), [{"holder": holder, "file": file} for file in sorted(new)])


def unpin(conn: Connection, holder: str) -> None:
    """Let go of everything a holder has pinned."""
    conn.execute(delete(pins).where(pins.c.holder == holder))


def named_files(conn: Connection, first: str, end: str) -> set[str]:
    """The files from ``first`` up to, not including, ``end`` that any row names."""
    columns = (objects.c.file, parts.c.file, uploads.c.file, trash.c.file)
    statement = union_all(*(select(column).where(column >= first, column < end) for column in columns))
    return set(conn.execute(statement).scalars())
