"""Placing objects as files of a job: read-only bind mounts of their immutable files, or copies.

Small files are copied, so that a job may change them, as code does that makes its scripts executable. Big ones are not,
where the job has a mount namespace. Elsewhere the kernel copies (copy_file_range: without a copy where the file system
can share blocks). Never a hard link: a job could write through.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sagebrush.substrate.compute.specification import Bind
from sagebrush.substrate.errors import Cancelled
from sagebrush.substrate.objects import ObjectInfo

#: Bytes from which a mount is cheaper than a copy, and data rather than a program.
BIND_FROM = 1 << 20
#: The host has a limit of mounts (fs.mount-max, 100,000 by default) for all jobs together.
MOST_BINDS = 1024
_LONGEST_NAME = 255
#: Bytes of a file beside its content: a last block that is not full, and a folder.
_BESIDE = 8192
_PIECE = 64 << 20
_COPIERS = 4
_OPT_ML = "/opt/ml"


class FileFinder(Protocol):
    """Where the immutable file of an object lies."""

    def path(self, info: ObjectInfo) -> Path: ...


@dataclass(frozen=True, slots=True)
class Placement:
    """One object and its path below a directory of the job, with ``/`` between folders."""

    info: ObjectInfo
    path: str


def place(
    objects: FileFinder,
    placements: Sequence[Placement],
    opt_ml: Path,
    *,
    sandboxed: bool,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Bind, ...]:
    """Place objects below ``opt_ml``; the bind mounts that the launch needs.

    Raises Cancelled when ``cancelled()`` turns true, OSError when the disk is full.
    """
    for folder in {(opt_ml / placement.path).parent for placement in placements}:
        folder.mkdir(parents=True, exist_ok=True)
    bound, copied = _divide(placements) if sandboxed else ([], placements)
    _copy_all([(objects.path(p.info), opt_ml / p.path) for p in copied], cancelled)
    return tuple(Bind(objects.path(p.info), f"{_OPT_ML}/{p.path}", read_only=True) for p in bound)


def _divide(placements: Sequence[Placement]) -> tuple[Sequence[Placement], Sequence[Placement]]:
    """Which to bind, the biggest, and which to copy."""
    ordered = sorted(placements, key=lambda placement: placement.info.size, reverse=True)
    count = sum(placement.info.size >= BIND_FROM for placement in ordered[:MOST_BINDS])
    return ordered[:count], ordered[count:]


def copied_bytes(placements: Sequence[Placement], *, sandboxed: bool) -> int:
    """What :func:`place` will take of the disk at most, folders and last blocks too: nothing for bound files."""
    copied = _divide(placements)[1] if sandboxed else placements
    return sum(placement.info.size + _BESIDE for placement in copied)


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


def relative_path(key: str, prefix: str) -> str:
    """Where an object found under ``prefix`` lies below its directory.

    A prefix that is a folder (``data/`` or ``data`` with keys ``data/...``) is left out of the path; of one that ends
    within a name, only its folder part is (``data/part-`` gives ``part-0001``).
    """
    if prefix.endswith("/") or not prefix:
        return key[len(prefix) :]
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def check_names(place: str, placements: Sequence[Placement]) -> None:
    """Raises ValueError for keys that no directory can hold, or that would leave ``place``, which messages name so."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for placement in placements:
        key, parts = placement.info.key, placement.path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ValueError(
                f'the key "{key}" cannot be a file of {place}: its path "{placement.path}" has an empty name, ".", '
                '".." or a NUL character'
            )
        if any(len(part.encode()) > _LONGEST_NAME for part in parts):
            raise ValueError(f'the key "{key}" cannot be a file of {place}: a name is too long')
        if other := files.get(placement.path) or folders.get(placement.path):
            raise _clash(place, key, other)
        files[placement.path] = key
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder in files:
                raise _clash(place, key, files[folder])
            folders[folder] = key


def _clash(place: str, key: str, other: str) -> ValueError:
    return ValueError(f'the keys "{other}" and "{key}" need the same path in {place}')
