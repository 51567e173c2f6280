"""The constraints of a single value: length, range, pattern, enumeration.

``is_legal(shape)`` compiles a shape's constraints into one cheap test; :mod:`validate` finds the words for a value that
failed it. Constraints of structures (required members) live with whoever walks them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sagebrush.substrate.wire.patterns import full_matcher

Test = Callable[[Any], bool]

NUMBERS: Final = frozenset({"integer", "long", "float", "double", "bigdecimal", "biginteger", "short", "byte"})
_SIZED: Final = frozenset({"string", "blob", "list", "map", "character"})


def bounds(shape: Any) -> tuple[float, float] | None:
    """(least, most) of a value or a length; None when there is no limit that can be broken."""
    least = shape.metadata.get("min")
    most = shape.metadata.get("max")
    sized = shape.type_name in _SIZED
    if sized and not least:
        least = None
    if least is None and most is None:
        return None
    # Lengths stay ints: comparing ints with floats is what a hot path would feel.
    lowest, highest = (0, sys.maxsize) if sized else (-math.inf, math.inf)
    return (lowest if least is None else _exact(least), highest if most is None else _exact(most))


def _exact(limit: float) -> float:
    return int(limit) if limit == int(limit) else limit


@dataclass(frozen=True, slots=True)
class StringRule:
    """What a string must be: so long (both ends included), and accepted by ``match`` where there is one."""

    least: float
    most: float
    match: Callable[[str], Any] | None

    @property
    def is_any(self) -> bool:
        """Whether every string is legal."""
        return self.match is None and (self.least, self.most) == (0, sys.maxsize)


def string_rule(shape: Any) -> StringRule:
    """The rule of a string shape: its enumeration, or its length and pattern."""
    if shape.enum:
        return StringRule(0, sys.maxsize, frozenset(shape.enum).__contains__)
    least, most = bounds(shape) or (0, sys.maxsize)
    return StringRule(least, most, full_matcher(shape.metadata["pattern"]) if "pattern" in shape.metadata else None)


def is_legal(shape: Any) -> Test | None:
    """A test of one value against the shape's own constraints; None when any value is legal."""
    if shape.type_name == "string":
        # In a header a jsonvalue is any JSON; in a body it is text like any other.
        is_json = shape.serialization.get("jsonvalue") and shape.serialization.get("location") == "header"
        return None if is_json else _legal_string(string_rule(shape))
    limits = bounds(shape)
    if limits is None:
        return None
    if shape.type_name in NUMBERS:
        return _in_range(*limits)
    return _of_length(*limits) if shape.type_name in _SIZED else None


def _legal_string(rule: StringRule) -> Test | None:
    if rule.is_any:
        return None
    least, most, match = rule.least, rule.most, rule.match
    if match is None:
        return _of_length(least, most)
    # The length first: a pattern may take long on a string that could not be legal anyway.
    return lambda value: least <= len(value) <= most and bool(match(value))


def _in_range(least: float, most: float) -> Test:
    return lambda value: least <= value <= most


def _of_length(least: float, most: float) -> Test:
    return lambda value: least <= len(value) <= most


def broken(shape: Any, value: Any) -> list[str]:
    """The constraints that ``value`` breaks, in AWS's words. The pattern is tried only on a legal length."""
    test = is_legal(shape)
    if test is None or test(value):
        return []
    if shape.type_name == "string" and shape.enum:
        return [enum_text(shape)]
    limits = bounds(shape)
    size = value if shape.type_name in NUMBERS else len(value)
    found = []
    if limits and size > limits[1]:
        found.append(most_text(shape))
    if limits and size < limits[0]:
        found.append(least_text(shape))
    if found:
        return found
    # NaN is neither too small nor too large, and still in no range.
    return [pattern_text(shape)] if "pattern" in shape.metadata else all_texts(shape)


def all_texts(shape: Any) -> list[str]:
    """Every constraint of a shape in AWS's words; lists and maps of scalars answer with all of them."""
    if shape.type_name == "string" and shape.enum:
        return [enum_text(shape)]
    texts = []
    if shape.metadata.get("max") is not None:
        texts.append(most_text(shape))
    if shape.metadata.get("min") is not None:
        texts.append(least_text(shape))
    if "pattern" in shape.metadata:
        texts.append(pattern_text(shape))
    return texts


def enum_text(shape: Any) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def pattern_text(shape: Any) -> str:
    return f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


def most_text(shape: Any) -> str:
    return f"Member must have {_measure(shape)} less than or equal to {shape.metadata['max']}"


def least_text(shape: Any) -> str:
    return f"Member must have {_measure(shape)} greater than or equal to {shape.metadata['min']}"


def _measure(shape: Any) -> str:
    return "value" if shape.type_name in NUMBERS else "length"
