"""Page tokens of the listings of logs and metrics.

A token holds where the next page begins and a digest of what the listing was asked for, so that it serves only the
same operation with the same filters and account. It needs no secret: it grants nothing, since the caller's policies
are evaluated for every page anew.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any


def seal(bound_to: Mapping[str, Any], position: list[Any]) -> str:
    """The token for the page that begins at ``position`` of the listing described by ``bound_to``."""
    text = json.dumps([_digest(bound_to), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def unseal(bound_to: Mapping[str, Any], token: str) -> list[Any]:
    """The position in a token. Raises ValueError when it is none of this listing's."""
    try:
        digest, position = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, UnicodeDecodeError, ValueError, TypeError) as error:
        raise ValueError("not a page token") from error
    if digest != _digest(bound_to) or not isinstance(position, list):
        raise ValueError("a page token of another listing")
    return position


def _digest(bound_to: Mapping[str, Any]) -> str:
    text = json.dumps(bound_to, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
