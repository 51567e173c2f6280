"""Numbers as clients write them in headers, queries and documents."""

from __future__ import annotations

#: Greater than any size, count or offset; longer numbers are taken for it, for Python refuses to read very long ones.
BEYOND = 10**18
_MOST_DIGITS = 18


def whole_number(text: str) -> int | None:
    """The number that ASCII digits spell, at most :data:`BEYOND`; None for anything else, signs and blanks included."""
    if not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0")
    return BEYOND if len(digits) > _MOST_DIGITS else int(digits or "0")
