"""Placing a channel's files: read-only bind mounts of immutable object files, or copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sagebrush.substrate.compute import Bind, placing
from sagebrush.substrate.compute.placing import BIND_FROM, FileFinder, Placement
from sagebrush.training.engine.refusals import download_failed

__all__ = ["BIND_FROM", "FileFinder", "place"]

DATA = "input/data"


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
    files = [Placement(p.info, f"{DATA}/{name}/{p.path}") for name, found in channels.items() for p in found]
    try:
        for name in channels:
            (opt_ml / DATA / name).mkdir(parents=True, exist_ok=True)
        return placing.place(objects, files, opt_ml, sandboxed=sandboxed, cancelled=cancelled)
    except OSError as error:
        where = error.filename2 or error.filename
        raise download_failed(f"{error.strerror} while placing {len(files)} input files ({where})") from error
