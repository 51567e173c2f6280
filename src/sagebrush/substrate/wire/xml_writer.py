"""Python values to XML text by shape. Writers append pieces to a list; no tree is built."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from sagebrush.substrate.wire import timestamps
from sagebrush.substrate.wire.json_writer import base64_text
from sagebrush.substrate.wire.locations import number_text
from sagebrush.substrate.wire.shapes import ShapeCompiler, in_response_body, wire_name
from sagebrush.substrate.wire.xml_reader import element_name

#: (value, element name, pieces) -> None
Writer = Callable[[Any, str, list[str]], None]

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'

_SPECIAL: Final = re.compile('[&<>"\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]')
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text: str) -> str:
    """Text for an element or an attribute. What XML 1.0 cannot hold becomes a character reference, as S3 does it."""
    if not _SPECIAL.search(text):
        return text
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0]) or f"&#x{ord(found[0]):x};", text)


class XmlWriter(ShapeCompiler):
    """Compiles shapes to writers. ``timestamp`` is how moments are written where the model does not say."""

    def __init__(self, timestamp: Callable[[Any], Any] = timestamps.to_iso8601) -> None:
        super().__init__()
        self._moment = timestamp

    def _scalar(self, shape: Any) -> Writer:
        text = self._text(shape)
        attribute = namespace_attribute(shape)

        def write(value: Any, name: str, pieces: list[str]) -> None:
            pieces.append(f"<{name}{attribute}>{text(value)}</{name}>")

        return write

    def _text(self, shape: Any) -> Callable[[Any], str]:
        kind = shape.type_name
        if kind == "boolean":
            return lambda value: "true" if value else "false"
        if kind in ("float", "double"):
            return number_text
        if kind == "timestamp":
            chosen = timestamps.form(shape, "iso8601")
            write = self._moment if chosen == "iso8601" else timestamps.WRITERS[chosen]
            return lambda value: str(write(value))
        if kind == "blob":
            return base64_text
        return lambda value: escape(str(value))

    def _structure(self, shape: Any) -> Writer:
        own_attribute = namespace_attribute(shape)
        content = self.content(shape)
        attributes = {
            name: wire_name(member, name)
            for name, member in shape.members.items()
            if member.serialization.get("xmlAttribute")
        }

        def write(value: Any, name: str, pieces: list[str]) -> None:
            extra = "".join(
                f' {attribute}="{escape(str(value[member]))}"'
                for member, attribute in attributes.items()
                if value.get(member) is not None
            )
            pieces.append(f"<{name}{own_attribute}{extra}>")
            content(value, pieces)
            pieces.append(f"</{name}>")

        return write

    def content(self, shape: Any) -> Callable[[Any, list[str]], None]:
        """A writer of a structure's members without an element around them."""
        members = {
            name: (element_name(member, name), self.compile(member))
            for name, member in shape.members.items()
            if in_response_body(member) and not member.serialization.get("xmlAttribute")
        }

        def write(value: Any, pieces: list[str]) -> None:
            for name, item in value.items():
                if item is not None:
                    member = members.get(name)
                    if member is not None:
                        member[1](item, member[0], pieces)

        return write

    def _list(self, shape: Any) -> Writer:
        member = self.compile(shape.member)
        if shape.serialization.get("flattened"):

            def write_flat(value: Any, name: str, pieces: list[str]) -> None:
                for item in value:
                    member(item, name, pieces)

            return write_flat
        inner = wire_name(shape.member, "member")
        attribute = namespace_attribute(shape)

        def write(value: Any, name: str, pieces: list[str]) -> None:
            pieces.append(f"<{name}{attribute}>")
            for item in value:
                member(item, inner, pieces)
            pieces.append(f"</{name}>")

        return write

    def _map(self, shape: Any) -> Writer:
        key_name, value_name = wire_name(shape.key, "key"), wire_name(shape.value, "value")
        key_writer, value_writer = self.compile(shape.key), self.compile(shape.value)
        flattened = shape.serialization.get("flattened")
        attribute = namespace_attribute(shape)

        def write_entries(value: Any, entry: str, pieces: list[str]) -> None:
            for key, item in value.items():
                pieces.append(f"<{entry}>")
                key_writer(key, key_name, pieces)
                value_writer(item, value_name, pieces)
                pieces.append(f"</{entry}>")

        def write(value: Any, name: str, pieces: list[str]) -> None:
            pieces.append(f"<{name}{attribute}>")
            write_entries(value, "entry", pieces)
            pieces.append(f"</{name}>")

        return write_entries if flattened else write


def namespace_attribute(shape: Any) -> str:
    """`` xmlns="..."`` of a shape that has a namespace, else nothing."""
    namespace = shape.serialization.get("xmlNamespace")
    if not namespace:
        return ""
    if isinstance(namespace, str):
        return f' xmlns="{escape(namespace)}"'
    prefix = f":{namespace['prefix']}" if namespace.get("prefix") else ""
    return f' xmlns{prefix}="{escape(namespace["uri"])}"'
