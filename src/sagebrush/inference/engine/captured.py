"""Captured requests and answers that the front door left in an endpoint's spool, on their way to S3."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sagebrush.substrate.front_door import CAPTURE_FOLDER
from sagebrush.substrate.objects.locations import S3Location

_DEPTH = 6  # variant/yyyy/mm/dd/hh/name


def closed_files(spool: Path) -> Iterator[Path]:
    """Files that nobody writes any more, relative to the spool's folder of captured data, oldest first."""
    root = spool / CAPTURE_FOLDER
    if root.is_dir():
        for path in sorted(root.glob("/".join("*" * _DEPTH))):
            if path.suffix == ".jsonl":
                yield path.relative_to(root)


def target(destination: S3Location, endpoint: str, file: Path) -> S3Location:
    """Where a file goes: ``<DestinationS3Uri>/<endpoint>/<variant>/yyyy/mm/dd/hh/<name>``."""
    return destination.child(endpoint).child(file.as_posix())


def variant_of(file: Path) -> str:
    """The variant whose data a file holds."""
    return file.parts[0]


def remove(spool: Path, file: Path, now: datetime) -> None:
    """Remove a file, and its hour's and day's folder once they are empty and the front door does not use them."""
    path = spool / CAPTURE_FOLDER / file
    path.unlink(missing_ok=True)
    today, hour = list(file.parts[1:4]), file.parts[4]
    same_day = today == now.strftime("%Y %m %d").split()
    with contextlib.suppress(OSError):
        if not (same_day and hour == now.strftime("%H")):
            path.parent.rmdir()
        if not same_day:
            path.parent.parent.rmdir()
