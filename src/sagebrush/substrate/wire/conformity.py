"""Whether a result is a legal member of an operation's output shape; the engine's strict mode asks.

Every response of the platform must be: a client built from the same model may rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.wire import validate
from sagebrush.substrate.wire.json_reader import INTEGER_BITS

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "float": (float, int),
    "double": (float, int),
    "blob": (bytes, bytearray, str),
    "timestamp": (datetime,),
    **dict.fromkeys(INTEGER_BITS, (int,)),
}


def require(shape: Any, result: Mapping[str, Any], name: str) -> None:
    """Raise Fault naming everything in ``result`` that ``shape`` does not allow."""
    if shape is None:
        wrong = [f"{name} has no output, so {sorted(result)} cannot be"] if result else []
    else:
        wrong = _wrong(shape, result, name)
        if not wrong:
            wrong = [str(violation) for violation in validate.violations(shape, result)]
    if wrong:
        raise Fault(f"not a legal answer of {name}: {'; '.join(wrong)}")


def _wrong(shape: Any, value: Any, path: str) -> list[str]:
    kind = shape.type_name
    if kind == "structure":
        return [] if shape.is_document_type else _wrong_structure(shape, value, path)
    if kind == "list":
        if not isinstance(value, list | tuple):
            return [f"{path} is {type(value).__name__}, not a list"]
        return [text for number, item in enumerate(value) for text in _wrong(shape.member, item, f"{path}[{number}]")]
    if kind == "map":
        if not isinstance(value, Mapping):
            return [f"{path} is {type(value).__name__}, not a map"]
        return [text for key, item in value.items() for text in _wrong(shape.value, item, f"{path}[{key!r}]")]
    if shape.serialization.get("jsonvalue"):
        return []
    return _wrong_scalar(kind, value, path)


def _wrong_structure(shape: Any, value: Any, path: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{path} is {type(value).__name__}, not a structure"]
    found = []
    for name, item in value.items():
        if name not in shape.members:
            found.append(f"{path}.{name} is unknown")
        elif item is None:
            found.append(f"{path}.{name} is None; leave it out")
        elif not shape.members[name].serialization.get("eventstream"):
            found += _wrong(shape.members[name], item, f"{path}.{name}")
    return found


def _wrong_scalar(kind: str, value: Any, path: str) -> list[str]:
    allowed = _TYPES[kind]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        return [f"{path} is {type(value).__name__}, not {kind}"]
    if isinstance(value, datetime) and value.tzinfo is None:
        return [f"{path} is a datetime without a zone"]
    return []
