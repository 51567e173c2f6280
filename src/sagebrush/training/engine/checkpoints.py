"""Checkpoints: restored from S3 before a job starts, uploaded while it runs and when it ended.

Source: "Use checkpoints in Amazon SageMaker AI", Developer Guide: files removed by the job are removed from S3 too, and
objects that others add to S3 after the start are not copied in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from sagebrush.substrate.compute.placing import FileFinder, Placement, copy_file, relative_path
from sagebrush.substrate.compute.user_files import Folder
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects.locations import S3Location
from sagebrush.training.engine import archive
from sagebrush.training.engine.artefacts import ObjectWriter, Volume, why_no_key
from sagebrush.training.engine.channels import ObjectReader, Permission, check_names
from sagebrush.training.engine.refusals import download_failed, upload_failed


class CheckpointStore(ObjectReader, ObjectWriter, FileFinder, Protocol):
    """What of the object store checkpoints need."""

    def delete(self, bucket: str, key: str) -> Any: ...


class Checkpoints:
    """The checkpoint folder of one host of one attempt. Uploads only what changed since it looked last.

    ``volume_bytes`` bounds what it may hold; ``skipped`` tells what the last look left out, and why.
    """

    def __init__(
        self,
        objects: CheckpointStore,
        allowed: Permission,
        location: S3Location,
        folder: Folder,
        volume_bytes: int | None = None,
    ):
        self.skipped: list[str] = []
        self._volume_bytes = volume_bytes
        self._objects = objects
        self._allowed = allowed
        self._location = S3Location(location.bucket, location.key.rstrip("/"))
        self._folder = folder
        self._seen: dict[str, tuple[int, int]] = {}
        self._stored: dict[str, tuple[int, int]] = {}

    def restore(self, cancelled: Callable[[], bool] = lambda: False) -> int:
        """Copy what S3 holds into the folder, before the job starts; the number of files. Raises Refused, Cancelled."""
        root = self._folder.root / self._folder.path
        try:
            root.mkdir(parents=True, exist_ok=True)
            placements = self._found()
            check_names("the checkpoint folder", placements)
            for placement in placements:
                target = root / placement.path
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_file(self._objects.path(placement.info), target, cancelled)
        except CallerError as error:
            raise download_failed(f"{error.code}: {error.message} (checkpoints at {self._location})") from None
        except OSError as error:
            raise download_failed(
                f"{error.strerror or error} while restoring the checkpoints at {self._location} ({error.filename})"
            ) from error
        self._stored = self._look()
        return len(placements)

    def _found(self) -> list[Placement]:
        """What S3 holds; keys that end with a slash are folders made by a console."""
        bucket, prefix = self._location
        self._allowed("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        found = []
        for info in self._objects.iterate(bucket, f"{prefix}/" if prefix else ""):
            if not info.key.endswith("/"):
                self._allowed("s3:GetObject", f"arn:aws:s3:::{bucket}/{info.key}")
                found.append(Placement(info, relative_path(info.key, prefix)))
        return found

    def upload(self, *, everything: bool = False, cancelled: Callable[[], bool] = lambda: False) -> int:
        """Store what changed, remove what the job removed; the number of changes. Raises Refused, Cancelled.

        A file still being written is left for the next time: it has to look the same twice, unless ``everything``.
        """
        now = self._look()
        due = [(name, look) for name, look in now.items() if self._due(name, look, everything)]
        try:
            changes = sum(self._store(name, look, everything, cancelled) for name, look in due)
            changes += sum(self._remove(name) for name in sorted(set(self._stored) - set(now)))
        except CallerError as error:
            raise upload_failed(f"{error.code}: {error.message} (checkpoints to {self._location})") from None
        self._seen = now
        return changes

    def _due(self, name: str, look: tuple[int, int], everything: bool) -> bool:
        return self._stored.get(name) != look and (everything or self._seen.get(name) == look)

    def _look(self) -> dict[str, tuple[int, int]]:
        contents = Volume(self._volume_bytes).take(archive.contents_of([self._folder]))
        reasons = {entry.name: why_no_key(self._location.child(entry.name).key) for entry in contents.files}
        self.skipped = contents.skipped + [f"{name}: {why}" for name, why in reasons.items() if why]
        self._entries = {entry.name: entry for entry in contents.files if not reasons[entry.name]}
        return {name: (e.status.st_size, e.status.st_mtime_ns) for name, e in self._entries.items()}

    def _store(self, name: str, look: tuple[int, int], everything: bool, cancelled: Callable[[], bool]) -> bool:
        target = self._location.child(name)
        self._allowed("s3:PutObject", f"arn:aws:s3:::{target.bucket}/{target.key}")
        try:
            self._objects.put(target.bucket, target.key, archive.read_entry(self._entries[name], cancelled))
        except OSError as error:
            # Changed or removed by the job while it was read: the next look sees what became of it. Unless it is over.
            if everything:
                self.skipped.append(f"{name}: {error.strerror or error}")
            return False
        self._stored[name] = look
        return True

    def _remove(self, name: str) -> bool:
        target = self._location.child(name)
        self._allowed("s3:DeleteObject", f"arn:aws:s3:::{target.bucket}/{target.key}")
        self._objects.delete(target.bucket, target.key)
        del self._stored[name]
        return True
