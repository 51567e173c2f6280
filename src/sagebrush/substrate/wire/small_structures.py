"""Readers of small structures, written out as straight code.

Lists of little structures (features, tags, channels, metrics) are what large requests are made of. A loop over their
members costs more than checking them, so for these a function is generated with one statement per member, as
``dataclasses`` does it. It behaves exactly as the general reader of :mod:`json_reader`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

#: (least length, most, matcher, None) of a string; (0, 0, None, reader) of anything else.
Rule = tuple[float, float, Callable[[str], Any] | None, Callable[[Any], Any] | None]

#: Beyond this many members most are absent, and looking each up costs more than looping over what is there.
MOST_MEMBERS: Final = 8


def reader(
    rules: Mapping[str, Rule], required: frozenset[str], is_union: bool, rejected: Exception
) -> Callable[[Any], Any]:
    """A function that checks and converts a dict in place, without members unknown or null; raises ``rejected``."""
    names: dict[str, Any] = {"rejected": rejected, "keep": _keep, "known": frozenset(rules)}
    lines = [
        "def read(value):",
        " if type(value) is not dict: raise rejected",
        " get = value.get",
        " seen = 0",
    ]
    for index, (name, rule) in enumerate(rules.items()):
        lines += [f" item = get({name!r})", " if item is not None:", "  seen += 1"]
        lines += [f"  {line}" for line in _member(name, rule, index, names)]
        if name in required:
            lines += [" else: raise rejected"]
    lines += [" if seen != len(value): keep(value, known)"]
    if is_union:
        lines += [" if seen != 1: raise rejected"]
    lines += [" return value"]
    exec("\n".join(lines), names)
    function: Callable[[Any], Any] = names["read"]
    return function


def _member(name: str, rule: Rule, index: int, names: dict[str, Any]) -> list[str]:
    least, most, match, convert = rule
    if convert is not None:
        names[f"convert{index}"] = convert
        return [f"value[{name!r}] = convert{index}(item)"]
    conditions = ["type(item) is not str"]
    if (least, most) != (0, sys.maxsize):
        conditions.append(f"not {least!r} <= len(item) <= {most!r}")
    if match is not None:
        names[f"match{index}"] = match
        conditions.append(f"not match{index}(item)")
    return [f"if {' or '.join(conditions)}: raise rejected"]


def _keep(value: dict[str, Any], known: frozenset[str]) -> None:
    """Drop what the shape does not know and what is null."""
    for name in [name for name, item in value.items() if item is None or name not in known]:
        del value[name]
