"""The file that AWS_CA_BUNDLE names: public roots, the platform's own authority, and what the user trusted before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from sagebrush.server.data_directory import DataDirectory
from sagebrush.substrate.errors import CallerError


def bundle_for(directory: DataDirectory, environ: Mapping[str, str]) -> Path:
    """The platform's bundle, with the user's own appended if one is set: AWS_CA_BUNDLE can name only one file.

    Raises CallerError when the platform has not made its certificates yet.
    """
    ours = directory.ca_bundle
    if not ours.exists():
        raise CallerError("NoCertificates", f"{ours} is missing; restart Sagebrush, which makes it.")
    theirs = environ.get("AWS_CA_BUNDLE") or environ.get("REQUESTS_CA_BUNDLE") or ""
    if not theirs or Path(theirs).parent == directory.keys:
        return ours
    try:
        added = Path(theirs).read_bytes()
    except OSError:
        return ours  # A directory of certificates, or a stale name: botocore could not have used it either.
    content = ours.read_bytes().rstrip(b"\n") + b"\n" + added
    merged = directory.keys / f"ca-bundle-{hashlib.sha256(content).hexdigest()[:16]}.pem"
    if not merged.exists():
        beside = merged.with_name(f"{merged.name}.{os.getpid()}")
        beside.write_bytes(content)
        beside.replace(merged)
    return merged
