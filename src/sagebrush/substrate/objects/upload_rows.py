"""Uploads and their parts as rows of the index."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, delete, insert, select, update

from sagebrush.substrate.objects import errors, rows
from sagebrush.substrate.objects.info import PartInfo, UploadInfo
from sagebrush.substrate.objects.names import encode_key
from sagebrush.substrate.objects.prepared import Prepared
from sagebrush.substrate.objects.tables import parts, uploads

_B_ID: BindParameter[Any] = bindparam("b_id")
_B_NUMBER: BindParameter[Any] = bindparam("b_number")
_UPLOAD = Prepared(select(uploads).where(uploads.c.id == _B_ID))
_ASSEMBLY = Prepared(select(uploads.c.file).where(uploads.c.id == _B_ID))
_PART = and_(parts.c.upload == _B_ID, parts.c.number == _B_NUMBER)
#: The assembly file of an open upload, and the file of the part that has the number now.
_SLOT = Prepared(
    select(uploads.c.file.label("assembly"), parts.c.file.label("part"))
    .select_from(uploads.outerjoin(parts, and_(parts.c.upload == uploads.c.id, parts.c.number == _B_NUMBER)))
    .where(uploads.c.id == _B_ID)
)
_VALUES = ("file", "position", "size", "etag", "modified_us", "body")
_INSERT_PART = Prepared(insert(parts), ("upload", "number", *_VALUES))
_UPDATE_PART = Prepared(update(parts).where(_PART), _VALUES)
_OVERLAPPING = Prepared(
    select(uploads.c.id, parts.c.number)
    .select_from(
        uploads.outerjoin(
            parts,
            and_(
                parts.c.upload == uploads.c.id,
                parts.c.file == uploads.c.file,
                parts.c.position < bindparam("b_end"),
                parts.c.position + parts.c.size > bindparam("b_start"),
            ),
        )
    )
    .where(uploads.c.id == _B_ID)
)


def insert_upload(conn: Connection, info: UploadInfo, file: str) -> None:
    """Record a new upload with the name of its assembly file. Raises CallerError NoSuchBucket."""
    rows.fetch_bucket(conn, info.bucket)
    body = rows.encode_attributes(info.attributes) | {
        "algorithm": info.algorithm,
        "checksum_kind": info.checksum_type,
    }
    conn.execute(
        insert(uploads).values(
            id=info.upload_id,
            bucket=info.bucket,
            key=info.key.encode(),
            created_us=info.created_us,
            file=file,
            body=json.dumps(body),
        )
    )


def decode_upload(row: Row[*tuple[Any, ...]]) -> UploadInfo:
    """A row of ``uploads`` as the store's users see it."""
    body = json.loads(row.body)
    return UploadInfo(
        upload_id=row.id,
        bucket=row.bucket,
        key=row.key.decode(),
        created_us=row.created_us,
        attributes=rows.decode_attributes(body),
        algorithm=body["algorithm"],
        checksum_type=body["checksum_kind"],
    )


def fetch_upload(conn: Connection, bucket: str, key: str, upload_id: str) -> tuple[UploadInfo, str]:
    """The upload and its assembly file. Raises CallerError NoSuchBucket or NoSuchUpload."""
    row = _UPLOAD.run(conn, {"b_id": upload_id}).first()
    if row is None or row.bucket != bucket or row.key != encode_key(key):
        rows.fetch_bucket(conn, bucket)
        raise errors.no_such_upload(upload_id)
    return decode_upload(row), row.file


def assembly_file(conn: Connection, upload_id: str) -> str | None:
    """The assembly file of an open upload; None when it is not open."""
    file: str | None = _ASSEMBLY.run(conn, {"b_id": upload_id}).scalar()
    return file


def is_free(conn: Connection, upload_id: str, start: int, end: int) -> bool:
    """Whether the upload is still open and no part lies in that range of its assembly file."""
    found = _OVERLAPPING.run(conn, {"b_id": upload_id, "b_start": start, "b_end": end}).first()
    return found is not None and found.number is None


def list_uploads(
    conn: Connection, bucket: str, prefix: str, after_key: str, after_id: str, limit: int
) -> list[UploadInfo]:
    """Uploads in the order of (key, id) behind the given one; without an id behind all uploads of that key."""
    rows.fetch_bucket(conn, bucket)
    first = max(prefix.encode(), after_key.encode())
    found = select(uploads).where(uploads.c.bucket == bucket, uploads.c.key >= first)
    infos: list[UploadInfo] = []
    for row in conn.execute(found.order_by(uploads.c.key, uploads.c.id)):
        info = decode_upload(row)
        if not info.key.startswith(prefix) or len(infos) >= limit:
            break
        behind = info.key != after_key or (bool(after_id) and info.upload_id > after_id)
        if not after_key or behind:
            infos.append(info)
    return infos


def store_part(conn: Connection, upload_id: str, info: PartInfo) -> None:
    """Record a part, replacing an earlier one of that number. Raises CallerError NoSuchUpload."""
    where = {"b_id": upload_id, "b_number": info.number}
    slot = _SLOT.run(conn, where).first()
    if slot is None:
        raise errors.no_such_upload(upload_id)
    values = {
        "file": info.file,
        "position": info.offset,
        "size": info.size,
        "etag": info.etag,
        "modified_us": info.modified_us,
        "body": json.dumps(dict(info.checksums)),
    }
    if slot.part is None:
        _INSERT_PART.run(conn, {"upload": upload_id, "number": info.number, **values})
    else:
        _UPDATE_PART.run(conn, {**where, **values})
        rows.discard(conn, {slot.part} - {slot.assembly, info.file}, rows.UNSEEN)


def list_parts(conn: Connection, upload_id: str, after: int, limit: int) -> list[PartInfo]:
    """The parts behind number ``after``, in order."""
    found = select(parts).where(parts.c.upload == upload_id, parts.c.number > after)
    return [
        PartInfo(
            number=row.number,
            size=row.size,
            etag=row.etag,
            modified_us=row.modified_us,
            file=row.file,
            offset=row.position,
            checksums=json.loads(row.body),
        )
        for row in conn.execute(found.order_by(parts.c.number).limit(limit))
    ]


def close_upload(conn: Connection, upload_id: str, *, keep: str) -> list[str]:
    """Remove an upload with its parts. Answers the files nobody needs now (all but ``keep``); they are in the trash."""
    files = set(conn.execute(select(parts.c.file).where(parts.c.upload == upload_id)).scalars())
    assembly = assembly_file(conn, upload_id)
    if assembly is not None:
        files.add(assembly)
    files.discard(keep)
    conn.execute(delete(parts).where(parts.c.upload == upload_id))
    conn.execute(delete(uploads).where(uploads.c.id == upload_id))
    rows.discard(conn, files, rows.UNSEEN)
    return sorted(files)
