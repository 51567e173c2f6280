"""ULIDs: 26 characters, sorted by creation time (https://github.com/ulid/spec)."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid(now_us: int) -> str:
    """48 bits of milliseconds and 80 random bits in Crockford's base 32."""
    number = ((now_us // 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
