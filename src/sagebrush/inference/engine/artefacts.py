"""Where a model's data and code lie in S3, as its role may see them, and where its replicas find them.

Source: "S3ModelDataSource", SageMaker API Reference (how keys become paths below /opt/ml/model).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagebrush.inference.model import containers, wording
from sagebrush.inference.model.containers import Container
from sagebrush.substrate.compute.placing import Placement, check_names
from sagebrush.substrate.errors import CallerError, JobFailure, Refused
from sagebrush.substrate.objects import ObjectInfo, ObjectStore
from sagebrush.substrate.objects.locations import S3Location, parse

#: Below /opt/ml. The names are those that users know: they appear in what goes wrong with them.
MODEL_ARCHIVE = "input/model.tar.gz"
CODE_ARCHIVE = "input/sourcedir.tar.gz"
MODEL = "model"

#: (action, location): raises CallerError AccessDenied where the role may not.
Allowed = Callable[[str, S3Location], None]


@dataclass(frozen=True, slots=True)
class Artefacts:
    """What a replica finds below /opt/ml, beside what it makes itself."""

    placements: tuple[Placement, ...] = ()

    @property
    def model_archive(self) -> bool:
        return any(placement.path == MODEL_ARCHIVE for placement in self.placements)

    @property
    def code_archive(self) -> bool:
        return any(placement.path == CODE_ARCHIVE for placement in self.placements)

    def document(self) -> list[dict[str, Any]]:
        """As it is kept."""
        return [
            {
                "path": p.path,
                "bucket": p.info.bucket,
                "key": p.info.key,
                "size": p.info.size,
                "etag": p.info.etag,
                "modified_us": p.info.modified_us,
                "file": p.info.file,
            }
            for p in self.placements
        ]


def read(document: Sequence[Mapping[str, Any]]) -> Artefacts:
    """The inverse of :meth:`Artefacts.document`."""
    return Artefacts(
        tuple(Placement(ObjectInfo(**{k: v for k, v in e.items() if k != "path"}), e["path"]) for e in document)
    )


def find(objects: ObjectStore, allowed: Allowed, container: Container) -> Artefacts:
    """What the container's replicas get. Raises Refused, with the text of FailureReason."""
    found: list[Placement] = []
    if uri := containers.model_data_uri(container):
        found += _told(uri, lambda: _model(objects, allowed, container))
    if code := containers.code_uri(container):
        found += _told(code, lambda: [_object(objects, allowed, parse(code), CODE_ARCHIVE)])
    return Artefacts(tuple(found))


def _told(uri: str, look: Callable[[], list[Placement]]) -> list[Placement]:
    try:
        return look()
    except CallerError as error:
        why = f"{error.code}: {error.message}"
    except ValueError as error:
        why = str(error)
    raise Refused(JobFailure("ClientError", wording.download_failed(uri, why)))


def _model(objects: ObjectStore, allowed: Allowed, container: Container) -> list[Placement]:
    data = containers.model_data(container)
    assert data is not None
    if data.kind == "archive":
        return [_object(objects, allowed, data.location, MODEL_ARCHIVE)]
    if data.kind == "prefix":
        return _below(objects, allowed, data.location)
    name = data.location.key.rpartition("/")[2]
    placement = _object(objects, allowed, data.location, name)
    check_names("/opt/ml/model", [placement])
    return [Placement(placement.info, f"{MODEL}/{name}")]


def _object(objects: ObjectStore, allowed: Allowed, location: S3Location, path: str) -> Placement:
    allowed("s3:GetObject", location)
    return Placement(objects.head(location.bucket, location.key), path)


def _below(objects: ObjectStore, allowed: Allowed, prefix: S3Location) -> list[Placement]:
    """Every object under a prefix that ends with a slash, by what its key says beyond it."""
    allowed("s3:ListBucket", S3Location(prefix.bucket, ""))
    found = []
    for info in objects.iterate(prefix.bucket, prefix.key):
        if info.key.endswith("/") and info.size == 0:
            continue  # A folder made by a console: no data.
        allowed("s3:GetObject", S3Location(prefix.bucket, info.key))
        found.append(Placement(info, info.key[len(prefix.key) :]))
    if not found:
        raise ValueError("there is no object under this prefix")
    check_names("/opt/ml/model", found)
    return [Placement(placement.info, f"{MODEL}/{placement.path}") for placement in found]
