"""JSON bodies in: text to plain JSON values.

Everything that is wrong with a body is a ``SerializationException`` (400), as from AWS's JSON services.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sagebrush.substrate.errors import CallerError

_SURROGATE_ESCAPES: Final = (b"\\ud", b"\\uD")


def serialization_error(message: str) -> CallerError:
    """The request cannot be read as the operation's input."""
    return CallerError("SerializationException", message)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def load(body: bytes) -> Any:
    """The JSON value of a body; an empty body counts as ``{}``. Raises CallerError ``SerializationException``."""
    if not body:
        return {}
    try:
        value = _DECODER.decode(body.decode("utf-8"))
        if any(escape in body for escape in _SURROGATE_ESCAPES):
            # Half a surrogate pair is legal in JSON's grammar and in no database: encoding it fails, here.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise serialization_error("The request body is not valid UTF-8") from None
    except ValueError as error:
        raise serialization_error(f"The request body is not valid JSON: {error}") from None
    except RecursionError:
        raise serialization_error("The request body is nested too deeply") from None
    return value
