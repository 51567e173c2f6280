"""The user's code of script mode: ``sagemaker_submit_directory``, an archive in S3, placed for the runtime to unpack.

The training toolkit of official images downloads it with boto3; here the platform does, as the job's role.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from sagebrush.substrate.compute import Bind
from sagebrush.substrate.compute.placing import FileFinder, copy_file
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import locations
from sagebrush.training.engine.channels import ObjectReader, Permission
from sagebrush.training.engine.refusals import download_failed

HYPERPARAMETER = "sagemaker_submit_directory"
VARIABLE = "SAGEMAKER_SUBMIT_DIRECTORY"
#: Below /opt/ml; beside the channels, so that no channel's name can meet it.
ARCHIVE = "input/code/sourcedir.tar.gz"


class CodeStore(ObjectReader, FileFinder, Protocol):
    """What of the object store code needs."""


def source_of(request: Mapping[str, Any]) -> str | None:
    """The S3 URI of the job's code; None where the job brings none."""
    given = request.get("Environment", {}).get(VARIABLE)
    if given is None:
        raw = request.get("HyperParameters", {}).get(HYPERPARAMETER)
        if raw is None:
            return None
        try:
            given = json.loads(raw)
        except (ValueError, RecursionError):  # No JSON, or too much of it: then it is the value itself.
            given = raw
    return given if isinstance(given, str) and given.startswith("s3://") else None


def place_code(objects: CodeStore, allowed: Permission, uri: str, opt_ml: Path, *, sandboxed: bool) -> tuple[Bind, ...]:
    """Place the archive below ``opt_ml``. Raises Refused when it is missing or forbidden."""
    target = opt_ml / ARCHIVE
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        bucket, key = locations.parse(uri)
        allowed("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        source = objects.path(objects.head(bucket, key))
    except ValueError as error:
        raise download_failed(f"{error} ({HYPERPARAMETER})") from None
    except CallerError as error:
        raise download_failed(f"{error.code}: {error.message} (the code of the job, {HYPERPARAMETER}: {uri})") from None
    if sandboxed:
        return (Bind(source, f"/opt/ml/{ARCHIVE}", read_only=True),)
    copy_file(source, target)
    return ()
