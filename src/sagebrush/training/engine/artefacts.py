"""What a job leaves: /opt/ml/model as the model artefact, /opt/ml/output/data as output.tar.gz.

Source: "CreateTrainingJob", OutputDataConfig, SageMaker API Reference. Uploading again stores the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sagebrush.substrate.compute.user_files import Folder
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects.locations import S3Location
from sagebrush.training.engine import archive
from sagebrush.training.engine.channels import Permission
from sagebrush.training.engine.refusals import upload_failed

_GZIP_TYPE = "application/x-gzip"
_LONGEST_KEY = 1024
#: Refusals that the owner of bucket and role can lift.
_OF_PERMISSIONS = frozenset({"AccessDenied", "NoSuchBucket"})


class ObjectWriter(Protocol):
    """What of the object store uploads need."""

    def put(self, bucket: str, key: str, source: Path | bytes | Iterable[bytes], *, content_type: str = ...) -> Any: ...


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was stored where, and what was left out."""

    locations: tuple[str, ...]
    skipped: tuple[str, ...]


class Volume:
    """Counts what a job's hosts leave, by apparent size: a sparse file is as long to read as a full one."""

    def __init__(self, size_bytes: int | None, room_bytes: int | None = None):
        """``room_bytes`` is what all hosts' together may take of the platform's disk; None where that is no matter."""
        self._size = size_bytes
        self._room = room_bytes
        self._stored = 0
        self._used: Counter[Path] = Counter()

    def take(self, contents: archive.Contents) -> archive.Contents:
        """The same contents. Raises Refused when a host's would not have fitted on its volume."""
        for entry in contents.files:
            self._used[entry.folder.root] += entry.status.st_size
            self._stored += min(entry.status.st_size, entry.status.st_blocks * 512)
        if self._room is not None and self._stored > max(0, self._room):
            raise upload_failed(
                f"No space: what the job left takes {self._stored} bytes, and beside the reserve (setting "
                f"disk_reserve_gib) {max(0, self._room)} bytes are free on the disk of the platform."
            )
        most = max(self._used.values(), default=0)
        if self._size is not None and most > self._size:
            raise upload_failed(
                f"what the job left on one instance takes {most} bytes, more than its VolumeSizeInGB of "
                f"{self._size >> 30} GB: SageMaker's volume would be full. Write less, or ask for a larger volume."
            )
        return contents


def volume_bytes(resource_config: Mapping[str, Any]) -> int | None:
    """The size of each instance's volume; None where the request names none."""
    size = resource_config.get("VolumeSizeInGB")
    return size << 30 if size else None


def why_no_key(key: str) -> str:
    """Why S3 has no object of this key, empty when it can have one. Names of files are bytes, keys are UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8, which a key of S3 must be"
    return f"its key has {size} bytes, a key of S3 at most {_LONGEST_KEY}" if size > _LONGEST_KEY else ""


class ArtefactUploader:
    """Uploads as the job's role may.

    Raises Refused; Cancelled when ``cancelled()`` turns true. ``volume_bytes`` bounds what each host may
    leave, ``room_bytes`` what all of them together may.
    """

    def __init__(
        self,
        objects: ObjectWriter,
        allowed: Permission,
        *,
        role_arn: str,
        volume_bytes: int | None = None,
        room_bytes: int | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ):
        self._objects = objects
        self._allowed = allowed
        self._role_arn = role_arn
        self._volume = Volume(volume_bytes, room_bytes)
        self._cancelled = cancelled

    def model(self, folders: Sequence[Folder], location: S3Location) -> Uploaded:
        """The model folders of all hosts as one artefact; a location that ends with ``/`` gets the single files."""
        contents = self._volume.take(archive.contents_of(folders))
        if location.key.endswith("/"):
            return self.files(contents, location)
        return self._archive(contents, location)

    def output_data(self, folders: Sequence[Folder], folder: S3Location, compression: str) -> Uploaded:
        """The output/data folders of all hosts; nothing is stored when they are empty."""
        contents = self._volume.take(archive.contents_of(folders))
        if not contents.files:
            return Uploaded((), tuple(contents.skipped))
        if compression == "NONE":
            return self.files(contents, folder.child("data/"))
        return self._archive(contents, folder.child("output.tar.gz"))

    def files(self, contents: archive.Contents, folder: S3Location) -> Uploaded:
        """Each file as an object of its own; a name that cannot be a key is left out."""
        stored, skipped = [], list(contents.skipped)
        for entry in contents.files:
            target = folder.child(entry.name)
            if why := why_no_key(target.key):
                skipped.append(f"{entry.name}: {why}")
                continue
            self._put(target, archive.read_entry(entry, self._cancelled), "binary/octet-stream")
            stored.append(str(target))
        return Uploaded(tuple(stored), tuple(skipped))

    def _archive(self, contents: archive.Contents, location: S3Location) -> Uploaded:
        self._put(location, archive.tar_gz(contents, self._cancelled), _GZIP_TYPE)
        return Uploaded((str(location),), tuple(contents.skipped))

    def _put(self, target: S3Location, source: Iterable[bytes], content_type: str) -> None:
        try:
            self._allowed("s3:PutObject", f"arn:aws:s3:::{target.bucket}/{target.key}")
            self._objects.put(target.bucket, target.key, source, content_type=content_type)
        except CallerError as error:
            hint = (
                f' Please ensure that the bucket exists and that the role "{self._role_arn}" has "s3:PutObject" '
                "permissions on it."
            )
            hint = hint if error.code in _OF_PERMISSIONS else ""
            raise upload_failed(f"{error.code}: {error.message} (uploading {target}).{hint}") from None
        except OSError as error:
            raise upload_failed(f"{error.strerror or error} (reading what belongs into {target})") from error
