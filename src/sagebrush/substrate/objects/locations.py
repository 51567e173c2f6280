"""S3 URIs."""

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

    @property
    def arn(self) -> str:
        """What policies call it."""
        return f"arn:aws:s3:::{self.bucket}/{self.key}" if self.key else f"arn:aws:s3:::{self.bucket}"

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
