"""REST protocols: members that travel in the URI, the query string or headers, in and out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from email.header import Header
from typing import Any, Final

from sagebrush.substrate.wire import timestamps
from sagebrush.substrate.wire.shapes import wire_name
from sagebrush.substrate.wire.xml_reader import text_converter

Query = Mapping[str, list[str]]

_READ_LOCATIONS: Final = frozenset({"uri", "querystring", "header", "headers"})


class Misplaced(ValueError):
    """Text of the wrong type in URI, query or header; says which member."""

    def __init__(self, name: str, text: str):
        super().__init__(f"{name}: {text!r}")
        self.name = name
        self.text = text


class LocationReader:
    """Reads the members of one input shape that are not in the body."""

    def __init__(self, shape: Any):
        self.names: list[str] = []
        self._uri: list[tuple[str, str, Callable[[str], Any]]] = []
        self._query: list[tuple[str, str, Callable[[list[str]], Any]]] = []
        self._query_maps: list[tuple[str, Callable[[str], Any] | None]] = []
        self._headers: list[tuple[str, str, Callable[[str], Any]]] = []
        self._prefixes: list[tuple[str, str]] = []
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            if location in _READ_LOCATIONS:
                self.names.append(name)
                self._add(name, member, location)

    def _add(self, name: str, member: Any, location: str) -> None:
        wire = wire_name(member, name)
        if location == "uri":
            self._uri.append((name, wire, text_converter(member, "iso8601")))
        elif location == "header":
            self._headers.append((name, wire.lower(), header_converter(member)))
        elif location == "headers":
            self._prefixes.append((name, wire.lower()))
        elif member.type_name == "map":
            is_list = member.value.type_name == "list"
            self._query_maps.append((name, None if is_list else text_converter(member.value, "iso8601")))
        elif member.type_name == "list":
            self._query.append((name, wire, _each(text_converter(member.member, "iso8601"))))
        else:
            self._query.append((name, wire, _first(text_converter(member, "iso8601"))))

    def read(self, labels: Mapping[str, str], query: Query, headers: Mapping[str, str]) -> dict[str, Any]:
        """The located members. Raises :class:`Misplaced`."""
        result: dict[str, Any] = {}
        for name, label, convert in self._uri:
            if label in labels:
                result[name] = _converted(convert, labels[label], name)
        if query:
            self._read_query(query, result)
        for name, header, convert in self._headers:
            text = headers.get(header)
            if text is not None:
                result[name] = _converted(convert, text, name)
        for name, prefix in self._prefixes:
            found = {key[len(prefix) :]: text for key, text in headers.items() if key.startswith(prefix)}
            if found or not prefix:
                result[name] = {key: value for key, value in found.items() if key}
        return result

    def _read_query(self, query: Query, result: dict[str, Any]) -> None:
        for name, key, convert_all in self._query:
            texts = query.get(key)
            if texts:
                result[name] = _converted(convert_all, texts, name)
        for name, convert in self._query_maps:
            # A server puts every field into such a map, those that members are bound to included.
            if convert is None:
                result[name] = dict(query)
            else:
                result[name] = {key: _converted(convert, texts[0], name) for key, texts in query.items()}


def _converted(convert: Callable[[Any], Any], text: Any, name: str) -> Any:
    try:
        return convert(text)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise Misplaced(name, text if isinstance(text, str) else ",".join(text)) from None


def _first(convert: Callable[[str], Any]) -> Callable[[list[str]], Any]:
    return lambda texts: convert(texts[0])


def _each(convert: Callable[[str], Any]) -> Callable[[list[str]], Any]:
    return lambda texts: [convert(text) for text in texts]


def header_converter(shape: Any) -> Callable[[str], Any]:
    """From a header's text to the member's value; the function raises ValueError."""
    if shape.serialization.get("jsonvalue"):
        return lambda text: json.loads(base64.b64decode(text, validate=True))
    if shape.type_name != "list":
        return text_converter(shape, "rfc822")
    convert = header_converter(shape.member)
    split = _split_dates if shape.member.type_name == "timestamp" else _split_list
    return lambda text: [convert(item) for item in split(text)] if text else []


def _split_dates(text: str) -> Iterator[str]:
    """HTTP dates carry a comma of their own after the weekday."""
    pieces = [piece.strip() for piece in text.split(",")]
    while pieces:
        piece = pieces.pop(0)
        yield f"{piece}, {pieces.pop(0)}" if piece.isalpha() and pieces else piece


def _split_list(text: str) -> Iterator[str]:
    """Comma-separated items; an item in double quotes may hold commas and backslash-escaped quotes (RFC 9110, 5.6)."""
    position = 0
    while position <= len(text):
        while position < len(text) and text[position] in " \t":
            position += 1
        if position < len(text) and text[position] == '"':
            item, position = _quoted(text, position + 1)
            yield item
            comma = text.find(",", position)
            position = len(text) + 1 if comma < 0 else comma + 1
        else:
            comma = text.find(",", position)
            end = len(text) if comma < 0 else comma
            yield text[position:end].strip()
            position = end + 1


def _quoted(text: str, position: int) -> tuple[str, int]:
    characters = []
    while position < len(text) and text[position] != '"':
        if text[position] == "\\" and position + 1 < len(text):
            position += 1
        characters.append(text[position])
        position += 1
    return "".join(characters), position + 1


def header_writer(shape: Any) -> Callable[[Any], str]:
    """From a member's value to a header's text."""
    kind = shape.type_name
    if shape.serialization.get("jsonvalue"):
        return lambda value: base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode("ascii")
    if kind == "timestamp":
        write = timestamps.WRITERS[timestamps.form(shape, "rfc822")]
        return lambda value: str(write(value))
    if kind == "list":
        item_writer = header_writer(shape.member)
        quote = _quote if shape.member.type_name == "string" else str
        return lambda value: ", ".join(quote(item_writer(item)) for item in value)
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind in ("float", "double"):
        return number_text
    return header_text


def number_text(value: float) -> str:
    """A number as text, with the three special ones in AWS's spelling."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return str(value)


def _quote(text: str) -> str:
    if '"' not in text and "," not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_CONTROLS: Final = dict.fromkeys((*range(32), 127), " ")


def header_text(value: Any) -> str:
    """Any text as a header can carry it: no line breaks, and RFC 2047 for what is not ASCII (as S3 answers it)."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    text = text.translate(_CONTROLS)
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=10**9).encode()
