"""JSON values to Python values by shape, checked on the way.

The reader is optimistic: it converts and checks in one pass without knowing where it is, and raises :class:`Rejected`
for whatever is wrong. Only then :mod:`json_explain` walks again to find the words.

What AWS's JSON services do, we do: members that the shape does not know are ignored, null counts as absent, a number
is not a string and a string is not a number.
"""

from __future__ import annotations

import binascii
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sagebrush.substrate.wire import constraints, timestamps
from sagebrush.substrate.wire.shapes import ShapeCompiler, wire_name

Reader = Callable[[Any], Any]


class Rejected(Exception):
    """The value is no legal value of the shape."""


_REJECTED: Final = Rejected()

#: Numbers that JSON cannot write travel as strings.
SPECIAL_FLOATS: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
INTEGER_BITS: Final = {"byte": 8, "short": 16, "integer": 32, "long": 64}


class JsonReader(ShapeCompiler):
    """Compiles shapes to readers. Members that REST protocols bind to URI, query or headers are not in the body."""

    def _scalar(self, shape: Any) -> Reader:
        raise NotImplementedError(f"{shape.name}: type {shape.type_name}")

    def _structure(self, shape: Any) -> Reader:
        if shape.is_document_type:
            return lambda value: value
        members = {
            wire_name(member, name): (name, self.compile(member))
            for name, member in shape.members.items()
            if "location" not in member.serialization
        }
        required = frozenset(shape.required_members) & {name for name, _ in members.values()}
        is_union = shape.is_tagged_union
        find = members.get

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _REJECTED
            result = {}
            for key, item in value.items():
                if item is not None:
                    member = find(key)
                    if member is not None:
                        result[member[0]] = member[1](item)
            if required and not required.issubset(result):
                raise _REJECTED
            if is_union and len(result) != 1:
                raise _REJECTED
            return result

        return read

    def _list(self, shape: Any) -> Reader:
        member = self.compile(shape.member)
        legal = constraints.is_legal(shape)

        def read(value: Any) -> list[Any]:
            if type(value) is not list or (legal is not None and not legal(value)):
                raise _REJECTED
            return [member(item) for item in value]

        return read

    def _map(self, shape: Any) -> Reader:
        key_reader, value_reader = self.compile(shape.key), self.compile(shape.value)
        legal = constraints.is_legal(shape)

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict or (legal is not None and not legal(value)):
                raise _REJECTED
            return {key_reader(key): value_reader(item) for key, item in value.items()}

        return read

    def _string(self, shape: Any) -> Reader:
        # A request is mostly strings: each kind of rule has a reader of its own that tests in place.
        allowed, limits, match = constraints.string_rules(shape)
        if allowed is not None:
            return _one_of(allowed)
        if limits is None and match is None:
            return _text
        least, most = limits or (0, sys.maxsize)
        return _of_length(least, most) if match is None else _matching(least, most, match)

    _character = _string

    def _integer(self, shape: Any) -> Reader:
        legal = constraints.is_legal(shape)
        most = 1 << (INTEGER_BITS.get(shape.type_name, 64) - 1)

        def read(value: Any) -> int:
            if type(value) is not int or not -most <= value < most or (legal is not None and not legal(value)):
                raise _REJECTED
            return value

        return read

    _long = _short = _byte = _integer

    def _float(self, shape: Any) -> Reader:
        legal = constraints.is_legal(shape)

        def read(value: Any) -> float:
            number = to_float(value)
            if number is None or (legal is not None and not legal(number)):
                raise _REJECTED
            return number

        return read

    _double = _float

    def _boolean(self, shape: Any) -> Reader:
        def read(value: Any) -> bool:
            if type(value) is not bool:
                raise _REJECTED
            return value

        return read

    def _timestamp(self, shape: Any) -> Reader:
        convert = timestamp_converter(shape)

        def read(value: Any) -> Any:
            try:
                return convert(value)
            except (ValueError, TypeError, OverflowError):
                raise _REJECTED from None

        return read

    def _blob(self, shape: Any) -> Reader:
        legal = constraints.is_legal(shape)

        def read(value: Any) -> bytes:
            try:
                decoded = to_bytes(value)
            except ValueError:
                raise _REJECTED from None
            if legal is not None and not legal(decoded):
                raise _REJECTED
            return decoded

        return read


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise _REJECTED


def _one_of(allowed: frozenset[str]) -> Reader:
    def read(value: Any) -> str:
        if type(value) is str and value in allowed:
            return value
        raise _REJECTED

    return read


def _of_length(least: float, most: float) -> Reader:
    def read(value: Any) -> str:
        if type(value) is str and least <= len(value) <= most:
            return value
        raise _REJECTED

    return read


def _matching(least: float, most: float, match: Callable[[str], Any]) -> Reader:
    def read(value: Any) -> str:
        if type(value) is str and least <= len(value) <= most and match(value):
            return value
        raise _REJECTED

    return read


def to_float(value: Any) -> float | None:
    """A JSON number, or one of the three numbers that JSON spells as strings; None when it is neither."""
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return None
    return SPECIAL_FLOATS.get(value) if type(value) is str else None


def to_bytes(value: Any) -> bytes:
    """Base64 text as bytes; CBOR's own bytes as they are. Raises ValueError."""
    if type(value) is bytes:
        return value
    if type(value) is not str:
        raise ValueError("not base64 text")
    return binascii.a2b_base64(value.encode("ascii"), strict_mode=True)


def timestamp_converter(shape: Any) -> Callable[[Any], Any]:
    """Epoch seconds in JSON, unless the member's own format says text; CBOR's own moments as they are.

    The function raises ValueError, TypeError or OverflowError.
    """
    if timestamps.form(shape, "unixtimestamp") != "unixtimestamp":
        return timestamps.from_text

    def convert(value: Any) -> Any:
        if type(value) is datetime:
            return value
        if type(value) not in (int, float):
            raise TypeError
        return timestamps.from_epoch(value)

    return convert
