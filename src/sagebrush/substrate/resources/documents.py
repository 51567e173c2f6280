"""A resource's body as stored: JSON that keeps timestamps and bytes, which requests may hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sagebrush.substrate.clock import from_datetime, to_datetime

#: A control character that no member or map key of the API may hold; in the text it reads ``\\u001f``.
_MARK = "\x1f"
_TIME = _MARK + "us"
_BYTES = _MARK + "base64"
_ESCAPED = "\\u001f"


def encode(body: Mapping[str, Any]) -> str:
    """A body as text. Raises TypeError for what is neither JSON, an aware datetime nor bytes."""
    return json.dumps(body, default=_mark, separators=(",", ":"))


def decode(text: str) -> dict[str, Any]:
    """The inverse of :func:`encode`."""
    body: dict[str, Any] = json.loads(text, object_hook=_unmark) if _ESCAPED in text else json.loads(text)
    return body


def _mark(value: Any) -> Any:
    if isinstance(value, datetime):
        return {_TIME: from_datetime(value)}
    if isinstance(value, bytes | bytearray):
        return {_BYTES: base64.b64encode(value).decode()}
    raise TypeError(f"a resource's body cannot hold a {type(value).__name__}")


def _unmark(value: dict[str, Any]) -> Any:
    if _TIME in value:
        return to_datetime(value[_TIME])
    if _BYTES in value:
        return base64.b64decode(value[_BYTES])
    return value
