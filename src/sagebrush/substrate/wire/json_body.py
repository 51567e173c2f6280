"""JSON bodies in: bytes to plain JSON values.

Everything that is wrong with a body is a ``SerializationException`` (400), as from AWS's JSON services. orjson is
strict where it has to be: no NaN, no half of a surrogate pair (no database could keep it), no nesting without end.
"""

from __future__ import annotations

from typing import Any

import orjson

from sagebrush.substrate.errors import CallerError


def serialization_error(message: str) -> CallerError:
    """The request cannot be read as the operation's input."""
    return CallerError("SerializationException", message)


def load(body: bytes) -> Any:
    """The JSON value of a body; an empty body counts as ``{}``. Raises CallerError ``SerializationException``."""
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise serialization_error(f"The request body is not valid JSON: {error}") from None
