"""The slow second walk over a JSON body that was rejected: what is of the wrong type, and where.

Wrong types are told first and alone, as AWS does: a body that cannot be deserialised is never validated.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from sagebrush.substrate.wire.json_body import serialization_error
from sagebrush.substrate.wire.json_reader import INTEGER_BITS, timestamp_converter, to_bytes, to_float
from sagebrush.substrate.wire.shapes import lower_first, wire_name

_JAVA_TYPES: Final = {
    "string": "String",
    "character": "String",
    "integer": "Integer",
    "long": "Long",
    "short": "Short",
    "byte": "Byte",
    "float": "Float",
    "double": "Double",
    "boolean": "Boolean",
    "blob": "ByteBuffer",
    "timestamp": "Timestamp",
}


def read(shape: Any, value: Any, path: str = "") -> Any:
    """``value`` as a Python value of ``shape``, unvalidated. Raises CallerError ``SerializationException``."""
    kind = shape.type_name
    if kind == "structure":
        return _structure(shape, value, path)
    if kind == "list":
        if type(value) is not list:
            raise serialization_error(f"Expected list or null{_at(path)}")
        return [
            None if item is None else read(shape.member, item, f"{path}.{number}.member")
            for number, item in enumerate(value, 1)
        ]
    if kind == "map":
        if type(value) is not dict:
            raise serialization_error(f"Expected map or null{_at(path)}")
        return {
            read(shape.key, key, path): None if item is None else read(shape.value, item, f"{path}.{key}.member")
            for key, item in value.items()
        }
    return _scalar(shape, value, path)


def _structure(shape: Any, value: Any, path: str) -> Any:
    if shape.is_document_type:
        return value
    if type(value) is not dict:
        raise serialization_error(f"Expected structure or null{_at(path)}")
    result = {}
    for name, member in shape.members.items():
        item = value.get(wire_name(member, name)) if "location" not in member.serialization else None
        if item is not None:
            result[name] = read(member, item, f"{path}.{lower_first(name)}" if path else lower_first(name))
    return result


def _scalar(shape: Any, value: Any, path: str) -> Any:
    kind = shape.type_name
    if type(value) in (dict, list):
        raise serialization_error(f"Start of structure or map found where not expected{_at(path)}")
    if kind in ("string", "character") and type(value) is str:
        return value
    if kind == "boolean" and type(value) is bool:
        return value
    if kind in INTEGER_BITS and type(value) is int:
        most = 1 << (INTEGER_BITS[kind] - 1)
        if -most <= value < most:
            return value
        raise serialization_error(f"Value out of range for {_JAVA_TYPES[kind]}{_at(path)}")
    if kind in ("float", "double") and (number := to_float(value)) is not None:
        return number
    if kind in ("timestamp", "blob"):
        try:
            return timestamp_converter(shape)(value) if kind == "timestamp" else to_bytes(value)
        except (ValueError, TypeError, OverflowError):
            pass
    return _refuse(kind, value, path)


def _refuse(kind: str, value: Any, path: str) -> NoReturn:
    found = f"{str(value).upper()}_VALUE" if type(value) is bool else _token(value)
    raise serialization_error(f"{found} can not be converted to {_article(_JAVA_TYPES[kind])}{_at(path)}")


def _token(value: Any) -> str:
    if type(value) is float:
        return "DECIMAL_VALUE"
    return "STRING_VALUE" if type(value) is str else "NUMBER_VALUE"


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _at(path: str) -> str:
    return f" at '{path}'" if path else ""
