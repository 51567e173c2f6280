"""Uploads and their parts as rows of the index."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from sagebrush.substrate.objects import errors, rows
from sagebrush.substrate.objects.info import PartInfo, UploadInfo
from sagebrush.substrate.objects.names import encode_key
from sagebrush.substrate.objects.tables import parts, uploads


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
    rows.fetch_bucket(conn, bucket)
    row = conn.execute(select(uploads).where(uploads.c.id == upload_id)).first()
    if row is None or row.bucket != bucket or row.key != encode_key(key):
        raise errors.no_such_upload(upload_id)
    return decode_upload(row), row.file


def assembly_file(conn: Connection, upload_id: str) -> str | None:
    """The assembly file of an open upload; None when it is not open."""
    file: str | None = conn.execute(select(uploads.c.file).where(uploads.c.id == upload_id)).scalar()
    return file


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
    assembly = assembly_file(conn, upload_id)
    if assembly is None:
        raise errors.no_such_upload(upload_id)
    here = (parts.c.upload == upload_id, parts.c.number == info.number)
    before = conn.execute(select(parts.c.file).where(*here)).first()
    values = {
        "file": info.file,
        "position": info.offset,
        "size": info.size,
        "etag": info.etag,
        "modified_us": info.modified_us,
        "body": json.dumps(dict(info.checksums)),
    }
    if before is None:
        conn.execute(insert(parts).values(upload=upload_id, number=info.number, **values))
    else:
        conn.execute(update(parts).where(*here).values(**values))
        rows.discard(conn, {before.file} - {assembly, info.file}, rows.UNSEEN)


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
