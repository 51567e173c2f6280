"""Form fields of the query protocol (``Tags.member.1.Key=a``) to Python values by shape.

The dotted names become a tree first, so that reading costs the number of fields and not more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from sagebrush.substrate.wire.shapes import ShapeCompiler, wire_name
from sagebrush.substrate.wire.xml_reader import text_converter

#: Steps of one dotted name; no operation of any served service comes near.
_DEEPEST: Final = 64
#: An element's place in a list. No list is that long; Python refuses to read numbers of more than 4300 digits.
_NUMBER: Final = re.compile("[0-9]{1,18}")


class Node:
    """One step of a dotted name: its own text, if any, and what follows."""

    __slots__ = ("children", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.children: dict[str, Node] = {}

    def numbered(self) -> list[Node]:
        """The children named by positive numbers, in numeric order; gaps close."""
        numbers = [(int(key), node) for key, node in self.children.items() if _NUMBER.fullmatch(key)]
        return [node for _, node in sorted(numbers, key=lambda pair: pair[0])]


Reader = Callable[[Node], Any]


def tree(pairs: Iterable[tuple[str, str]]) -> Node:
    """The fields as a tree. The last of equal names wins."""
    root = Node()
    for name, text in pairs:
        node = root
        for step in name.split(".", _DEEPEST):
            child = node.children.get(step)
            if child is None:
                child = node.children[step] = Node()
            node = child
        node.text = text
    return root


class QueryReader(ShapeCompiler):
    """Compiles shapes to readers of nodes. The readers raise ValueError for text of the wrong type."""

    def _scalar(self, shape: Any) -> Reader:
        convert = text_converter(shape, "iso8601")

        def read(node: Node) -> Any:
            if node.text is None:
                raise ValueError("expected a value")
            return convert(node.text)

        return read

    def _structure(self, shape: Any) -> Reader:
        members = [
            (name, step, self.compile(member))
            for name, member in shape.members.items()
            for step in _steps(member, name)
        ]

        def read(node: Node) -> dict[str, Any]:
            result = {}
            children = node.children
            for name, step, reader in members:
                child = children.get(step)
                if child is not None:
                    result[name] = reader(child)
            return result

        return read

    def _list(self, shape: Any) -> Reader:
        member = self.compile(shape.member)
        inner = None if shape.serialization.get("flattened") else wire_name(shape.member, "member")

        def read(node: Node) -> list[Any]:
            if inner is not None and node.children:
                child = node.children.get(inner)
                if child is None:
                    raise ValueError(f"expected {inner}")
                node = child
            return [member(item) for item in node.numbered()]

        return read

    def _map(self, shape: Any) -> Reader:
        key_name, value_name = wire_name(shape.key, "key"), wire_name(shape.value, "value")
        key_reader, value_reader = self.compile(shape.key), self.compile(shape.value)
        flattened = shape.serialization.get("flattened")

        def read(node: Node) -> dict[str, Any]:
            if not flattened and node.children:
                node = node.children.get("entry", node)
            result = {}
            for entry in node.numbered():
                key, value = entry.children.get(key_name), entry.children.get(value_name)
                if key is None or value is None:
                    raise ValueError("an entry of a map needs a key and a value")
                result[key_reader(key)] = value_reader(value)
            return result

        return read


def _steps(member: Any, name: str) -> set[str]:
    """A flattened list goes by its own name (the specification) or by that of its member (botocore)."""
    own = wire_name(member, name)
    if member.type_name == "list" and member.serialization.get("flattened"):
        return {own, wire_name(member.member, own)}
    return {own}
