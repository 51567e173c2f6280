"""Keeping the process logs from filling the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

#: A log longer than this is moved aside; one older piece is kept.
LIMIT_BYTES = 16 * 1024 * 1024


def rotate(file: Path, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Copy an over-long log to ``<name>.1`` and empty it in place, as its writer (in append mode) goes on writing.

    Lines written between copy and truncation are lost; that is the price of taking whatever a process prints,
    tracebacks of the interpreter included. Returns whether the log was rotated.
    """
    try:
        if file.stat().st_size <= limit_bytes:
            return False
        shutil.copyfile(file, file.with_name(file.name + ".1"))
        with file.open("r+b") as log:
            log.truncate(0)
    except FileNotFoundError:
        return False
    return True
