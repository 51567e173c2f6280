"""XML bodies in: text to a light tree without namespaces.

Document type declarations are refused outright: no AWS client sends one, and entities are how XML hurts.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

from sagebrush.substrate.errors import CallerError

_DECLARATION: Final = b"<!DOCTYPE"


def malformed_xml() -> CallerError:
    """S3's words for XML that it cannot read or that does not fit the operation."""
    return CallerError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def load(body: bytes) -> ElementTree.Element:
    """The root element, all tags and attributes without namespace. Raises CallerError ``MalformedXML``."""
    if _DECLARATION in body:
        raise malformed_xml()
    parser = ElementTree.XMLParser(encoding="utf-8")
    try:
        parser.feed(body)
        root = parser.close()
    except (ElementTree.ParseError, ValueError):
        raise malformed_xml() from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
