"""What the store says about its buckets, objects and uploads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_CONTENT_TYPE = "binary/octet-stream"


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """A bucket and who owns it."""

    name: str
    account: str
    region: str
    created_us: int
    versioning: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the writer of an object says about it.

    ``headers`` are the entity headers kept as sent, by lower-case name (``cache-control``, ``content-encoding`` ...);
    ``metadata`` is x-amz-meta-* without the prefix; ``tags`` are the object's tags.
    """

    content_type: str = DEFAULT_CONTENT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checksums:
    """Checksums by algorithm, in S3's base64 form, and whether they are FULL_OBJECT or COMPOSITE."""

    values: Mapping[str, str] = field(default_factory=dict)
    kind: str = "FULL_OBJECT"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object. ``etag`` is without quotes, ``size`` in bytes; ``file`` names the immutable file within the store.

    ``parts`` are the sizes of the parts of a multipart object in order, else empty.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified_us: int
    file: str
    attributes: Attributes = field(default_factory=Attributes)
    checksums: Checksums = field(default_factory=Checksums)
    parts: tuple[int, ...] = ()
    upload_id: str = ""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as a listing shows it."""

    key: str
    size: int
    etag: str
    modified_us: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing. ``next_after`` continues it: pass it as ``start_after``; None on the last page."""

    objects: tuple[ListedObject, ...]
    prefixes: tuple[str, ...]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """A multipart upload in progress. ``algorithm`` is empty when the client named none."""

    upload_id: str
    bucket: str
    key: str
    created_us: int
    attributes: Attributes
    algorithm: str = ""
    checksum_type: str = ""


@dataclass(frozen=True, slots=True)
class PartInfo:
    """An uploaded part and where its bytes lie."""

    number: int
    size: int
    etag: str
    modified_us: int
    file: str
    offset: int = 0
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part as the client names it when completing an upload."""

    number: int
    etag: str
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteCondition:
    """Conditions of a write, checked in the transaction that makes it visible.

    ``if_none_match`` may only be ``*`` (the key must be free); ``if_match`` is the ETag the key must have now.
    """

    if_none_match: str = ""
    if_match: str = ""
