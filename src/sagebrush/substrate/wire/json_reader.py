"""JSON values to Python values by shape, checked on the way.

The reader is optimistic: it converts and checks in one pass without knowing where it is, and raises :class:`Rejected`
for whatever is wrong. The value that is read is taken over: it may come back changed. Only when it was rejected does
:mod:`json_explain` walk again, over a fresh copy, to find the words.

What AWS's JSON services do, we do: members that the shape does not know are ignored, null counts as absent, a number
is not a string and a string is not a number.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sagebrush.substrate.wire import constraints, small_structures, timestamps
from sagebrush.substrate.wire.constraints import StringRule
from sagebrush.substrate.wire.shapes import ShapeCompiler, wire_name
from sagebrush.substrate.wire.small_structures import Rule

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
            return _anything
        members = {name: member for name, member in shape.members.items() if "location" not in member.serialization}
        required = frozenset(shape.required_members) & members.keys()
        if any(wire_name(member, name) != name for name, member in members.items()):
            return _limited(self._renaming(members), required, shape.is_tagged_union)
        rules = {name: self._rule(member) for name, member in members.items()}
        if shape.is_tagged_union or len(rules) <= small_structures.MOST_MEMBERS:
            return small_structures.reader(rules, required, shape.is_tagged_union, _REJECTED)
        return _in_place(rules, required)

    def _rule(self, member: Any) -> Rule:
        """(least, most, match, None) of a string, (0, 0, None, reader) of anything else."""
        if member.type_name != "string":
            return 0, 0, None, self.compile(member)
        rule = constraints.string_rule(member)
        return rule.least, rule.most, rule.match, None

    def _renaming(self, members: dict[str, Any]) -> Reader:
        """For structures with a member that is called otherwise on the wire."""
        find = {wire_name(member, name): (name, self.compile(member)) for name, member in members.items()}.get

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _REJECTED
            result = {}
            for key, item in value.items():
                member = find(key)
                if item is not None and member is not None:
                    result[member[0]] = member[1](item)
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
        legal = constraints.is_legal(shape)
        key_rule = constraints.string_rule(shape.key)
        if shape.value.type_name == "string":
            return _string_map(legal, key_rule, constraints.string_rule(shape.value))
        key_legal = constraints.is_legal(shape.key)
        value_reader = self.compile(shape.value)

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict or (legal is not None and not legal(value)):
                raise _REJECTED
            if key_legal is not None and not all(map(key_legal, value)):
                raise _REJECTED
            return {key: value_reader(item) for key, item in value.items()}

        return read

    def _string(self, shape: Any) -> Reader:
        rule = constraints.string_rule(shape)
        least, most, match = rule.least, rule.most, rule.match

        def read(value: Any) -> str:
            if type(value) is str and least <= len(value) <= most and (match is None or match(value)):
                return value
            raise _REJECTED

        return read

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


def _anything(value: Any) -> Any:
    return value


def _in_place(rules: dict[str, Rule], required: frozenset[str]) -> Reader:
    """For most structures: the dict that came is the dict that goes; strings are checked without a call."""
    find = rules.get

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _REJECTED
        dropped = None
        for name, item in value.items():
            rule = find(name)
            if item is None or rule is None:
                dropped = [name] if dropped is None else [*dropped, name]
                continue
            least, most, match, reader = rule
            if reader is not None:
                value[name] = reader(item)
            elif type(item) is not str or not least <= len(item) <= most or (match is not None and not match(item)):
                raise _REJECTED
        if dropped is not None:
            for name in dropped:
                del value[name]
        if required and not required.issubset(value):
            raise _REJECTED
        return value

    return read


def _limited(read_members: Reader, required: frozenset[str], is_union: bool) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        result: dict[str, Any] = read_members(value)
        if not required.issubset(result) or (is_union and len(result) != 1):
            raise _REJECTED
        return result

    return read


def _string_map(legal: Callable[[Any], bool] | None, keys: StringRule, values: StringRule) -> Reader:
    """Maps from text to text (hyperparameters, environments) are long: each entry is checked without a call."""
    key_least, key_most, key_match = keys.least, keys.most, keys.match
    least, most, match = values.least, values.most, values.match

    def read(value: Any) -> dict[str, str]:
        if type(value) is not dict or (legal is not None and not legal(value)):
            raise _REJECTED
        for key, item in value.items():
            if not key_least <= len(key) <= key_most or (key_match is not None and not key_match(key)):
                raise _REJECTED
            if type(item) is not str or not least <= len(item) <= most or (match is not None and not match(item)):
                raise _REJECTED
        return value

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
