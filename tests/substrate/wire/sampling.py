"""Sample values of botocore's shapes: legal by every constraint the model states, the same on every run."""

from __future__ import annotations

import re._constants as opcodes
import re._parser as regex_parser
import warnings
from datetime import UTC, datetime
from typing import Any

from sagebrush.substrate.wire.patterns import full_matcher

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
WHOLE_SECOND = MOMENT.replace(microsecond=0)
_DEEPEST = 6

#: Tried before a pattern is taken apart; most of AWS's patterns accept one of them.
_CANDIDATES = (
    "abc",
    "a",
    "us-east-1",
    "123456789012",
    "s3://bucket/key",
    "https://example.com/a",
    "arn:aws:iam::123456789012:role/service-role/R",
    "arn:aws:sagemaker:us-east-1:123456789012:training-job/abc",
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:latest",
    "2026-01-02T03:04:05Z",
    "1.0",
    "10.0.0.1",
    "ip-10-0-0-1.ec2.internal",
    "arn:aws:lambda:us-east-1:123456789012:function:f",
    "aabbccdd-0011-2233-4455-66778899aabb",
)


class NoSample(Exception):
    """The sampler could not make a legal value; the test must be told, not pass."""


def sample(shape: Any, depth: int = 0, *, everything: bool = True) -> Any:
    """A value with every member set (recursion ends at a depth), or with only what is required."""
    kind = shape.type_name
    if kind == "structure":
        return _structure(shape, depth, everything)
    if kind == "list":
        if depth > _DEEPEST and not shape.metadata.get("min"):
            return []
        return [sample(shape.member, depth + 1, everything=everything)] * max(1, int(shape.metadata.get("min", 1)))
    if kind == "map":
        return _map(shape, depth, everything)
    return _scalar(shape)


def _structure(shape: Any, depth: int, everything: bool) -> Any:
    if shape.is_document_type:
        return {"any": ["json", 1, True]}
    names = list(shape.members)
    if shape.is_tagged_union:
        names = names[:1]
    elif depth > _DEEPEST or not everything:
        names = shape.required_members
    names = [name for name in names if not shape.members[name].serialization.get("eventstream")]
    return {name: sample(shape.members[name], depth + 1, everything=everything) for name in names}


def _map(shape: Any, depth: int, everything: bool) -> Any:
    value = sample(shape.value, depth + 1, everything=everything)
    if "location" in shape.serialization:
        return {"s1": "s2"}
    key = sample(shape.key, depth + 1)
    return {(key + str(n) if n else key): value for n in range(max(1, int(shape.metadata.get("min", 1))))}


def _scalar(shape: Any) -> Any:
    kind = shape.type_name
    if shape.serialization.get("jsonvalue") and shape.serialization.get("location") == "header":
        return {"k": [1, "ü"]}
    if kind in ("string", "character"):
        return _string(shape)
    if kind in ("integer", "long"):
        return _number(shape, 7)
    if kind in ("float", "double"):
        return float(_number(shape, 1.5))
    if kind == "boolean":
        return True
    if kind == "timestamp":
        # Headers and whole-second formats cannot carry a fraction.
        coarse = shape.serialization.get("timestampFormat") == "rfc822" or "location" in shape.serialization
        return WHOLE_SECOND if coarse else MOMENT
    if kind == "blob":
        return b"\x00\xffblob" * max(1, int(shape.metadata.get("min", 1)) // 6 + 1)
    raise NoSample(kind)


def _number(shape: Any, wanted: float) -> Any:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and wanted < least:
        return least
    if most is not None and wanted > most:
        return most
    return wanted


def _string(shape: Any) -> str:
    if shape.enum:
        return str(shape.enum[0])
    least, most = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 10**6))
    pattern = shape.metadata.get("pattern")
    if pattern is None:
        # Headers and URIs of botocore's clients carry ASCII only.
        text = "s1" if "location" in shape.serialization else 'sämple<&> "1"'
        return text[:most].ljust(least, "x")
    matches = full_matcher(pattern)
    for candidate in (*_CANDIDATES, *(c.ljust(least, "a") for c in _CANDIDATES), *_generated(pattern, least)):
        if least <= len(candidate) <= most and (matches is None or matches(candidate)):
            return candidate
    raise NoSample(f"{shape.name}: {pattern} {least}..{most}")


def _generated(pattern: str, least: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = regex_parser.parse(pattern)
        except Exception:
            return
    for extra in (0, 1, 2, 8, least):
        yield _from_tree(tree, extra)


def _from_tree(tree: Any, extra: int) -> str:
    return "".join(_from_node(op, argument, extra) for op, argument in tree)


def _from_node(op: Any, argument: Any, extra: int) -> str:
    if op is opcodes.LITERAL:
        return chr(argument)
    if op is opcodes.NOT_LITERAL:
        return "a" if argument != ord("a") else "b"
    if op is opcodes.ANY:
        return "a"
    if op is opcodes.IN:
        return _from_class(argument)
    if op is opcodes.BRANCH:
        return _from_tree(argument[1][0], extra)
    if op is opcodes.SUBPATTERN:
        return _from_tree(argument[3], extra)
    if op in (opcodes.MAX_REPEAT, opcodes.MIN_REPEAT):
        low, high, inner = argument
        return "".join(_from_tree(inner, extra) for _ in range(min(max(low, extra), high)))
    return ""


def _from_class(items: Any) -> str:
    negated = any(op is opcodes.NEGATE for op, _ in items)
    allowed = set()
    for op, argument in items:
        if op is opcodes.LITERAL:
            allowed.add(chr(argument))
        elif op is opcodes.RANGE:
            allowed.update(chr(code) for code in range(argument[0], min(argument[1], argument[0] + 60) + 1))
        elif op is opcodes.CATEGORY:
            allowed.update({"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " "}.get(str(argument), "a"))
    pool = [c for c in "aA0-_./: " + "".join(map(chr, range(33, 127))) if (c in allowed) != negated]
    return pool[0] if pool else next(iter(allowed))
