"""Placing a channel's files: read-only bind mounts of immutable object files, or copies.

Nothing is copied where the job has a mount namespace and the files are few. Otherwise the kernel copies
(copy_file_range: without a copy where the file system can share blocks). Never a hard link: a job could write through.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from sagebrush.substrate.compute import Bind
from sagebrush.substrate.errors import Cancelled
from sagebrush.substrate.objects import ObjectInfo
from sagebrush.training.engine.channels import Placement
from sagebrush.training.engine.refusals import download_failed

#: More bind mounts than this cost more than the copy of what are then mostly small files.
MOST_BINDS = 64
DATA = "/opt/ml/input/data"
_PIECE = 64 << 20
_COPIERS = 4


class FileFinder(Protocol):
    """Where the immutable file of an object lies."""

    def path(self, info: ObjectInfo) -> Path: ...


def place(
    objects: FileFinder,
    channels: Mapping[str, Sequence[Placement]],
    opt_ml: Path,
    *,
    sandboxed: bool,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Bind, ...]:
    """Place one host's channels below ``opt_ml``; the bind mounts that its launch needs.

    Raises Cancelled when ``cancelled()`` turns true, Refused when the disk is full.
    """
    data = opt_ml / "input" / "data"
    folders = {data / name for name in channels}
    folders |= {(data / name / p.path).parent for name, placements in channels.items() for p in placements}
    count = sum(map(len, channels.values()))
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise download_failed(f"{error.strerror} while placing {count} input files ({error.filename})") from error
    if sandboxed and count <= MOST_BINDS:
        return tuple(
            Bind(objects.path(p.info), f"{DATA}/{name}/{p.path}", read_only=True)
            for name, placements in channels.items()
            for p in placements
        )
    jobs = [(objects.path(p.info), data / name / p.path) for name, ps in channels.items() for p in ps]
    try:
        _copy_all(jobs, cancelled)
    except OSError as error:
        raise download_failed(
            f"{error.strerror} while placing {count} input files ({error.filename2 or error.filename})"
        ) from error
    return ()


def _copy_all(jobs: Sequence[tuple[Path, Path]], cancelled: Callable[[], bool]) -> None:
    with ThreadPoolExecutor(min(_COPIERS, max(1, len(jobs))), thread_name_prefix="placing") as pool:
        for result in [pool.submit(copy_file, source, target, cancelled) for source, target in jobs]:
            result.result()


def copy_file(source: Path, target: Path, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Copy in the kernel where it can, by reading and writing where it cannot (across some file systems)."""
    if cancelled():
        raise Cancelled
    with source.open("rb") as reader, target.open("wb") as writer:
        try:
            while os.copy_file_range(reader.fileno(), writer.fileno(), _PIECE):
                if cancelled():
                    raise Cancelled
        except OSError as error:
            if writer.tell() or os.fstat(writer.fileno()).st_size or error.errno in _NO_SPACE:
                raise
            shutil.copyfileobj(reader, writer, 1 << 20)


_NO_SPACE = {28, 122}
