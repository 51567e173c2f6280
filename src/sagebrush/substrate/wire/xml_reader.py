"""XML elements to Python values by shape. Raises ValueError for text of the wrong type; validation comes later."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from sagebrush.substrate.wire import timestamps
from sagebrush.substrate.wire.shapes import ShapeCompiler, wire_name

#: A reader of one element, except for members that may repeat (flattened): those get the list of their elements.
Reader = Callable[[Any], Any]


class XmlReader(ShapeCompiler):
    """Compiles shapes to readers of elements."""

    def _scalar(self, shape: Any) -> Reader:
        convert = text_converter(shape, "iso8601")
        return lambda element: convert(element.text or "")

    def _structure(self, shape: Any) -> Reader:
        members: dict[str, tuple[str, Reader, bool]] = {}
        attributes: list[tuple[str, str]] = []
        for name, member in shape.members.items():
            if "location" in member.serialization:
                continue
            if member.serialization.get("xmlAttribute"):
                attributes.append((name, wire_name(member, name).rpartition(":")[2]))
            else:
                flattened = bool(member.serialization.get("flattened"))
                entry = (name, self.compile(member), flattened)
                # Flattened lists go by their own name (the specification) or by that of their member (botocore).
                members.setdefault(wire_name(member, name), entry)
                members[element_name(member, name)] = entry

        def read(element: Element) -> dict[str, Any]:
            result: dict[str, Any] = {}
            repeated: dict[str, list[Element]] = {}
            for child in element:
                found = members.get(child.tag)
                if found is None:
                    continue
                name, reader, flattened = found
                if flattened:
                    repeated.setdefault(child.tag, []).append(child)
                else:
                    result[name] = reader(child)
            for tag, children in repeated.items():
                result[members[tag][0]] = members[tag][1](children)
            for name, attribute in attributes:
                for key, value in element.attrib.items():
                    if key.rpartition("}")[2] == attribute:
                        result[name] = value
            return result

        return read

    def _list(self, shape: Any) -> Reader:
        member = self.compile(shape.member)
        if shape.serialization.get("flattened"):
            return lambda elements: [member(element) for element in elements]
        return lambda element: [member(child) for child in element]

    def _map(self, shape: Any) -> Reader:
        key_name, value_name = wire_name(shape.key, "key"), wire_name(shape.value, "value")
        key_reader, value_reader = self.compile(shape.key), self.compile(shape.value)

        def read(entries: Any) -> dict[str, Any]:
            result = {}
            for entry in entries:
                key, value = entry.find(key_name), entry.find(value_name)
                if key is None or value is None:
                    raise ValueError("an entry of a map needs a key and a value")
                result[key_reader(key)] = value_reader(value)
            return result

        return read


def element_name(member: Any, name: str) -> str:
    """What a structure's member is called as a child element; a flattened list takes its own member's name."""
    if member.type_name == "list" and member.serialization.get("flattened"):
        inner = member.member.serialization.get("name")
        if inner is not None:
            return str(inner)
    return wire_name(member, name)


def text_converter(shape: Any, timestamp_format: str) -> Callable[[str], Any]:
    """A function from the text of an element, a header or a URI to the value. The function raises ValueError."""
    kind = shape.type_name
    if kind in ("integer", "long", "short", "byte"):
        return _to_int
    if kind in ("float", "double"):
        return float
    if kind == "boolean":
        return _to_bool
    if kind == "blob":
        return lambda text: base64.b64decode(text, validate=True)
    if kind == "timestamp":
        return timestamps.from_text
    return str


def _to_int(text: str) -> int:
    # int() alone would also take "1_000", " 1" and Arabic digits.
    if not text.isascii() or not text.lstrip("+-").isdigit() or len(text) > 20:
        raise ValueError(f"not an integer: {text!r}")
    return int(text)


def _to_bool(text: str) -> bool:
    lower = text.lower()
    if lower == "true":
        return True
    if lower == "false":
        return False
    raise ValueError(f"not a boolean: {text!r}")
