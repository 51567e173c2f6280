"""The index of the object store. Keys are stored as UTF-8 bytes: compared bytewise they are in S3's listing order."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from sagebrush.substrate.store import OBJECTS
from sagebrush.substrate.store.text import sorted_text

buckets = Table(
    "buckets",
    OBJECTS.metadata,
    Column("name", sorted_text(63), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

objects = Table(
    "objects",
    OBJECTS.metadata,
    Column("bucket", String(63), primary_key=True),
    Column("key", LargeBinary(1024), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("modified_us", BigInteger, nullable=False),
    Column("file", String(64), nullable=False),
    #: The number in ``file`` when the bytes lie in ``contents``.
    Column("content", BigInteger),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

#: The bytes of small objects, by the number in ``objects.file`` (see :mod:`.inline`).
contents = Table(
    "contents",
    OBJECTS.metadata,
    # In SQLite this very type makes the number the row's own address.
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

uploads = Table(
    "uploads",
    OBJECTS.metadata,
    Column("id", sorted_text(64), primary_key=True),
    Column("bucket", String(63), nullable=False),
    Column("key", LargeBinary(1024), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("file", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Index("uploads_key", "bucket", "key", "id"),
)

parts = Table(
    "parts",
    OBJECTS.metadata,
    Column("upload", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("file", String(64), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("modified_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

#: Files that no row names any more, kept for a while for those who were given their path.
trash = Table(
    "trash",
    OBJECTS.metadata,
    Column("file", String(64), primary_key=True),
    Column("since_us", BigInteger, nullable=False),
    Index("trash_since", "since_us"),
)

#: ``pins.file`` of a holder that keeps every file (a backup that is being taken).
EVERY_FILE = "*"

#: Files that a holder (a running job) may still open by path.
pins = Table(
    "pins",
    OBJECTS.metadata,
    Column("holder", String(256), primary_key=True),
    Column("file", String(64), primary_key=True),
    Index("pins_file", "file"),
)
