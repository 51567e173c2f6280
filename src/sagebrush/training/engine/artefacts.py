"""What a job leaves: /opt/ml/model as the model artefact, /opt/ml/output/data as output.tar.gz.

Source: "CreateTrainingJob", OutputDataConfig, SageMaker API Reference. Uploading again stores the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sagebrush.substrate.errors import CallerError
from sagebrush.training.engine import archive
from sagebrush.training.engine.channels import Permission
from sagebrush.training.engine.refusals import upload_failed
from sagebrush.training.model.locations import S3Location

_GZIP_TYPE = "application/x-gzip"


class ObjectWriter(Protocol):
    """What of the object store uploads need."""

    def put(self, bucket: str, key: str, source: Path | bytes | Iterable[bytes], *, content_type: str = ...) -> Any: ...


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was stored where, and what was left out."""

    locations: tuple[str, ...]
    skipped: tuple[str, ...]


class ArtefactUploader:
    """Uploads as the job's role may."""

    def __init__(self, objects: ObjectWriter, allowed: Permission, *, role_arn: str):
        self._objects = objects
        self._allowed = allowed
        self._role_arn = role_arn

    def model(self, folders: Sequence[archive.Folder], location: S3Location) -> Uploaded:
        """The model folders of all hosts as one artefact; a location that ends with ``/`` gets the single files."""
        contents = archive.contents_of(folders)
        if location.key.endswith("/"):
            return self.files(contents, location)
        return self._archive(contents, location)

    def output_data(self, folders: Sequence[archive.Folder], folder: S3Location, compression: str) -> Uploaded:
        """The output/data folders of all hosts; nothing is stored when they are empty."""
        contents = archive.contents_of(folders)
        if not contents.files:
            return Uploaded((), tuple(contents.skipped))
        if compression == "NONE":
            return self.files(contents, folder.child("data/"))
        return self._archive(contents, folder.child("output.tar.gz"))

    def files(self, contents: archive.Contents, folder: S3Location) -> Uploaded:
        """Each file as an object of its own."""
        stored = []
        for entry in contents.files:
            target = folder.child(entry.name)
            self._put(target, archive.read_entry(entry), "binary/octet-stream")
            stored.append(str(target))
        return Uploaded(tuple(stored), tuple(contents.skipped))

    def _archive(self, contents: archive.Contents, location: S3Location) -> Uploaded:
        self._put(location, archive.tar_gz(contents), _GZIP_TYPE)
        return Uploaded((str(location),), tuple(contents.skipped))

    def _put(self, target: S3Location, source: Iterable[bytes], content_type: str) -> None:
        try:
            self._allowed("s3:PutObject", f"arn:aws:s3:::{target.bucket}/{target.key}")
            self._objects.put(target.bucket, target.key, source, content_type=content_type)
        except CallerError as error:
            raise upload_failed(
                f"{error.code}: {error.message} (uploading {target}). Please ensure that the bucket exists and that "
                f'the role "{self._role_arn}" has "s3:PutObject" permissions on it.'
            ) from None
        except OSError as error:
            raise upload_failed(f"{error.strerror or error} (reading what belongs into {target})") from error
