"""S3's XML: documents out of plain values, and plain values out of the few documents clients send.

Outgoing documents are written by hand: a listing of a thousand keys is a join of strings. Incoming ones go through
expat with entities refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.parsers import expat

from sagebrush.substrate.errors import CallerError

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_SPECIAL = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f]')
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text: str) -> str:
    """Text as it stands in an element."""
    return _SPECIAL.sub(lambda match: _NAMED.get(match[0], f"&#x{ord(match[0]):x};"), text)


def element(name: str, content: Any) -> str:
    """``<name>content</name>`` for text, numbers and booleans; nothing for None."""
    if content is None:
        return ""
    if isinstance(content, bool):
        content = "true" if content else "false"
    return f"<{name}>{escape(str(content))}</{name}>"


def parent(name: str, *children: str) -> str:
    """An element around other elements."""
    return f"<{name}>{''.join(children)}</{name}>"


def document(root: str, *children: str) -> bytes:
    """A whole document in S3's namespace."""
    return f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{"".join(children)}</{root}>'.encode()


class Node:
    """An element of a document that a client sent; names are without their namespace."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str):
        self.name = name
        self.text = ""
        self.children: list[Node] = []

    def all(self, name: str) -> Iterable[Node]:
        """The children of that name."""
        return (child for child in self.children if child.name == name)

    def get(self, name: str) -> str | None:
        """The text of the first child of that name."""
        return next((child.text for child in self.all(name)), None)

    def need(self, name: str) -> str:
        """The text of a child that must be there. Raises CallerError MalformedXML."""
        text = self.get(name)
        if text is None:
            raise malformed()
        return text


def parse(body: bytes, root: str) -> Node:
    """The document's root, which must have that name. Raises CallerError MalformedXML."""
    stack = [Node("")]
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, _attributes: dict[str, str]) -> None:
        node = Node(name.rpartition(" ")[2])
        stack[-1].children.append(node)
        stack.append(node)

    def end(_name: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def doctype(*_: Any) -> None:
        raise malformed()

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    parser.buffer_text = True
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise malformed() from None
    found = stack[0].children
    if len(found) != 1 or found[0].name != root:
        raise malformed()
    return found[0]


def malformed() -> CallerError:
    """The document is not what the operation takes."""
    return CallerError(
        "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
    )
