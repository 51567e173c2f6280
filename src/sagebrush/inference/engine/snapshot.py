"""The routing snapshot: one small file, replaced whole, that the front door reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(path: Path, *, version: int, endpoints: Mapping[str, Any]) -> None:
    """Replace the snapshot. It need not survive the machine: it is written anew at every start."""
    document = {"version": version, "endpoints": endpoints}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, separators=(",", ":"))
    temporary.rename(path)


def version_of(path: Path) -> int:
    """The version of the snapshot that is there; 0 where there is none, or none that can be read."""
    try:
        return int(json.loads(path.read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
