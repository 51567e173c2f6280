"""What lies in a directory of environments: of this platform's, of older versions, of builds that were cut off."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sagebrush.substrate.compute.environments.building import MANIFEST

_RUNTIME = "runtime-"
_BUILDING = ".building-"


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory there. ``name`` is that of the environment; ``runtime`` for a copy of the code inside jobs.

    ``requirements``: what is installed, one pin each. ``whole``: False for what a build that was cut off has left.
    ``base``: the directory name of the environment that an overlay lies over; ``used_us``: when one was last asked for.
    """

    name: str
    path: Path
    python: str = ""
    requirements: tuple[str, ...] = ()
    whole: bool = True
    base: str = ""
    used_us: int = 0

    def size_bytes(self) -> int:
        """What it takes on the disk; links count nothing."""
        return sum(path.lstat().st_blocks * 512 for path in self.path.rglob("*"))


def entries(directory: Path) -> list[Entry]:
    """Everything there that is ours, by name."""
    found = [_entry(path) for path in sorted(directory.iterdir()) if path.is_dir()] if directory.is_dir() else []
    return [entry for entry in found if entry is not None]


def _entry(path: Path) -> Entry | None:
    if path.name.startswith(_BUILDING):
        return Entry(path.name.removeprefix(_BUILDING).rpartition("-")[0], path, whole=False)
    if path.name.startswith(_RUNTIME):
        return Entry("runtime", path)
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        used_us = (path / MANIFEST).stat().st_mtime_ns // 1000
    except (OSError, ValueError):
        return None
    pins = (line.strip() for line in manifest["requirements"])
    requirements = tuple(pin for pin in pins if pin and not pin.startswith("#"))
    base = manifest.get("base", "")
    return Entry(manifest["name"], path, manifest["python"], requirements, base=base, used_us=used_us)


def users(path: Path) -> list[int]:
    """Processes that run from this directory, as far as this user may see them."""
    return [pid for pid in _processes() if _mentions(pid, os.fsencode(path))]


def remove(entry: Entry) -> None:
    """Delete it; at once for whoever looks for it: it is renamed first."""
    gone = entry.path.with_name(f"{_BUILDING}{entry.path.name.removeprefix(_BUILDING)}-removed")
    entry.path.rename(gone)
    shutil.rmtree(gone)


def _processes() -> Iterator[int]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            yield int(path.name)


def _mentions(pid: int, path: bytes) -> bool:
    """Whether a process was started with this path (its program, arguments, PYTHONPATH), or has mapped files there."""
    for file in ("cmdline", "environ", "maps"):
        with contextlib.suppress(OSError):
            if path in Path(f"/proc/{pid}/{file}").read_bytes():
                return True
    return False
