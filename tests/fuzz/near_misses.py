"""Requests that are nearly right: they get past the parsers, into the operations."""

from __future__ import annotations

import random
from typing import Any

from tests.substrate.wire.sampling import NoSample, sample

#: Strings that have broken things somewhere before.
ODD_STRINGS = (
    "", " ", ".", "..", "/", "//", "a/../b", "%", "%00", "%2e%2e%2f", "\x7f", "\t", "ä漢字🙂", "\u202e", "a" * 300,
    "-", "-1", "*", "?", "${aws:username}", "${", "' OR 1=1 --", '"', "<&>", "NaN", "1e999", "0x10", "null", "true", "s3://",
    "s3://b", "s3:///k", "arn:aws:", "arn:aws:s3:::b/*", "arn:aws:iam::000000000000:role/r",
    "arn:aws:sagemaker:us-east-1:123456789012:", "http://[::1", "2026-13-45", "(", "[a-", "a{99999}", "\\",
)  # fmt: skip
ODD_NUMBERS = (0, -1, 1, 2**31 - 1, 2**31, -(2**63), 2**63 - 1, 10**18)


class NearMisses:
    """Makes inputs of shapes, mostly legal; ``known`` are names and ARNs of what exists."""

    def __init__(self, seed: int, known: list[str]):
        self._luck = random.Random(seed)
        self._known = known

    def input(self, shape: Any) -> dict[str, Any]:
        """The input of an operation."""
        made = self._structure(shape, 0)
        assert isinstance(made, dict)
        return made

    def _value(self, shape: Any, depth: int) -> Any:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape, depth)
        if kind == "list":
            return [self._value(shape.member, depth + 1) for _ in range(self._luck.choice((0, 1, 1, 2)))]
        if kind == "map":
            return {
                self._string(shape.key): self._value(shape.value, depth + 1) for _ in range(self._luck.choice((0, 1)))
            }
        if kind in ("string", "character"):
            return self._string(shape)
        if kind in ("integer", "long") and self._luck.random() < 0.4:
            return self._luck.choice(ODD_NUMBERS)
        return sample(shape)

    def _structure(self, shape: Any, depth: int) -> Any:
        if shape.is_document_type:
            return {"any": ["json", 1, True]}
        names = [name for name in shape.members if not shape.members[name].serialization.get("eventstream")]
        if shape.is_tagged_union:
            names = self._luck.sample(names, 1)
        elif depth > 4:
            names = list(shape.required_members)
        else:
            share = self._luck.choice((0.1, 0.4, 0.9))
            names = [
                name
                for name in names
                if (name in shape.required_members and self._luck.random() < 0.97) or self._luck.random() < share
            ]
        return {name: self._value(shape.members[name], depth + 1) for name in names}

    def _string(self, shape: Any) -> str:
        chance = self._luck.random()
        if shape.enum and chance < 0.9:
            return str(self._luck.choice(shape.enum))
        if chance < 0.4:
            return self._luck.choice(self._known)
        if chance < 0.6:
            return self._luck.choice(ODD_STRINGS)
        try:
            return str(sample(shape))
        except NoSample:
            return "a"
