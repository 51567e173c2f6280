"""Room on disk that a replica's log gives back once it was read: servers print for months.

The file keeps its length, and positions in it their meaning: only the blocks that hold what was read are freed.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
#: So much stays readable before where the reader is: the end of a log tells why a server died.
KEPT = 1 << 20
_BLOCK = 1 << 20


def release(log: Path, read_until: int) -> bool:
    """Give back what lies well before ``read_until``; False where the file system cannot."""
    length = (read_until - KEPT) // _BLOCK * _BLOCK
    if length <= 0:
        return True
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return bool(_libc.fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, 0, length) == 0)
    finally:
        os.close(descriptor)
