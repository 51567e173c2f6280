"""The constraints of a single value: length, range, pattern, enumeration.

``is_legal(shape)`` compiles a shape's constraints into one cheap test; :mod:`validate` finds the words for a value that
failed it. Constraints of structures (required members) live with whoever walks them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sagebrush.substrate.wire.patterns import full_matcher

Test = Callable[[Any], bool]

NUMBERS: Final = frozenset({"integer", "long", "float", "double", "bigdecimal", "biginteger", "short", "byte"})
_SIZED: Final = frozenset({"string", "blob", "list", "map", "character"})


#: Stands for "no limit"; an int, because comparing ints with floats is what a hot path would feel.
_ENDLESS: Final = 1 << 1100


def bounds(shape: Any) -> tuple[float, float] | None:
    """(least, most) of a value or a length; None when there is no limit that can be broken."""
    least = shape.metadata.get("min")
    most = shape.metadata.get("max")
    if shape.type_name in _SIZED and not least:
        least = None
    if least is None and most is None:
        return None
    return (-_ENDLESS if least is None else _exact(least), _ENDLESS if most is None else _exact(most))


def _exact(limit: float) -> float:
    return int(limit) if limit == int(limit) else limit


def string_rules(shape: Any) -> tuple[frozenset[str] | None, tuple[float, float] | None, Callable[[str], Any] | None]:
    """(the enumeration, (least, most) length, the pattern's matcher) of a string; each None when not constrained."""
    if shape.enum:
        return frozenset(shape.enum), None, None
    match = full_matcher(shape.metadata["pattern"]) if "pattern" in shape.metadata else None
    return None, bounds(shape), match


def is_legal(shape: Any) -> Test | None:
    """A test of one value against the shape's own constraints; None when any value is legal."""
    limits = bounds(shape)
    if shape.type_name in NUMBERS:
        return _in_range(*limits) if limits else None
    if shape.type_name == "string" and not shape.serialization.get("jsonvalue"):
        return _legal_string(*string_rules(shape))
    if shape.type_name in _SIZED:
        return _of_length(*limits) if limits else None
    return None


def _legal_string(
    allowed: frozenset[str] | None, limits: tuple[float, float] | None, match: Callable[[str], Any] | None
) -> Test | None:
    if allowed is not None:
        return allowed.__contains__
    if match is None:
        return _of_length(*limits) if limits else None
    if limits is None:
        return lambda value: match(value) is not None
    least, most = limits
    # The length first: a pattern may take long on a string that could not be legal anyway.
    return lambda value: least <= len(value) <= most and match(value) is not None


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
    return found or [pattern_text(shape)]


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
