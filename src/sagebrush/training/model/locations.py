"""S3 URIs, and the places a job's artefacts go to."""

from __future__ import annotations

import re
from typing import NamedTuple

_URI = re.compile(r"s3://([a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
_HTTPS = re.compile(
    r"https://(?:s3[.\-][a-z0-9\-.]+|s3)\.?amazonaws\.com/([a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?:/(.*))?"
)


class S3Location(NamedTuple):
    """A bucket and a key or key prefix in it (without a leading slash)."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def child(self, name: str) -> S3Location:
        """The location ``name`` under this one, taken as a folder."""
        base = self.key.rstrip("/")
        return S3Location(self.bucket, f"{base}/{name}" if base else name)


def parse(uri: str) -> S3Location:
    """The location an S3 URI names. Raises ValueError when it is none."""
    found = _URI.fullmatch(uri) or _HTTPS.fullmatch(uri)
    if found is None:
        raise ValueError(f"not an S3 URI: {uri!r}")
    return S3Location(found[1], found[2] or "")


def is_valid(uri: str) -> bool:
    """Whether the URI names a bucket, and perhaps a key, of S3."""
    try:
        parse(uri)
    except ValueError:
        return False
    return True


def output_folder(s3_output_path: str, job_name: str) -> S3Location:
    """``<S3OutputPath>/<job>/output``."""
    return parse(s3_output_path).child(job_name).child("output")


def model_artifacts(s3_output_path: str, job_name: str, compression: str) -> S3Location:
    """Where ModelArtifacts.S3ModelArtifacts points: an archive, or with CompressionType NONE a prefix."""
    folder = output_folder(s3_output_path, job_name)
    return folder.child("model/") if compression == "NONE" else folder.child("model.tar.gz")
