"""ULIDs: 26 characters, sorted by creation time (https://github.com/ulid/spec)."""

from __future__ import annotations

import secrets
import threading

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80

_lock = threading.Lock()
_last = 0


def new_ulid(now_us: int) -> str:
    """48 bits of milliseconds and 80 random bits in Crockford's base 32.

    Within one millisecond of one process each is greater than the one before, so that ids tell the order of creation.
    """
    global _last
    milliseconds = now_us // 1000
    with _lock:
        if _last >> _RANDOM_BITS == milliseconds:
            _last += 1 + secrets.randbits(32)
        else:
            _last = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        number = _last
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
