"""The byte store under S3: immutable files under one directory, and an index.

Start with :class:`ObjectStore`. ``files`` and ``incoming`` bring bytes to disk, ``inline`` keeps small ones in the
index, ``rows`` and ``listing`` are the index, ``uploads`` and ``assembly`` multipart uploads, ``sweeping`` removes what
nobody needs any more.

How a put becomes durable: bytes into a new file under a random name, file synced, directory synced (both shared by
puts that run at the same time), then one row committed; a small object is all in the commit. The row alone makes the
object visible, so a crash anywhere leaves the old object or the new one, and at worst a file without a row, which the
next start sweeps.
"""

from sagebrush.substrate.objects.info import (
    Attributes,
    BucketInfo,
    Checksums,
    CompletedPart,
    ListedObject,
    ObjectInfo,
    Page,
    PartInfo,
    UploadInfo,
    WriteCondition,
)
from sagebrush.substrate.objects.store import ObjectStore

__all__ = [
    "Attributes",
    "BucketInfo",
    "Checksums",
    "CompletedPart",
    "ListedObject",
    "ObjectInfo",
    "ObjectStore",
    "Page",
    "PartInfo",
    "UploadInfo",
    "WriteCondition",
]
