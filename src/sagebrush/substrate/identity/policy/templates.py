"""Policy values with wildcards and policy variables.

A value is parsed once into parts: literal text, ``*``, ``?`` and variables. What a variable stands for is always
literal: a user called ``*`` gains nothing. AWS: reference_policies_variables.html.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

#: A request's context: condition keys in lower case, each with one or more values.
Context = Mapping[str, tuple[str, ...]]


class Wildcard(enum.Enum):
    """The two wildcards of the policy language."""

    STAR = "*"
    ANY = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """``${key}`` or ``${key, 'default'}``; ``key`` as written."""

    key: str
    default: str | None


Part = str | Wildcard | Variable
#: Parts without variables.
Resolved = tuple[str | Wildcard, ...]

_VARIABLE = re.compile(r"\$\{(?:([*?$])|([^}]*))\}")
_DEFAULTED = re.compile(r"\A\s*([^,]+?)\s*,\s*'([^']*)'\s*\Z")


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed policy value."""

    parts: tuple[Part, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables, in order."""
        return tuple(part for part in self.parts if isinstance(part, Variable))

    @property
    def fixed(self) -> Resolved | None:
        """The parts, when there is no variable among them."""
        return None if self.variables else tuple(part for part in self.parts if not isinstance(part, Variable))

    def resolve(self, context: Context) -> Resolved | None:
        """The parts with every variable replaced; None when a variable has neither value nor default.

        A key with several values has no single text to stand for and counts as missing.
        """
        resolved: list[str | Wildcard] = []
        for part in self.parts:
            if isinstance(part, Variable):
                values = context.get(part.key.lower(), ())
                text = values[0] if len(values) == 1 else part.default
                if text is None:
                    return None
                resolved.append(text)
            else:
                resolved.append(part)
        return tuple(resolved)


def parse(text: str, *, wildcards: bool, variables: bool) -> Template:
    """Parse a policy value. Without ``wildcards`` ``*`` and ``?`` are plain characters (StringEquals), without
    ``variables`` so is ``${`` (policy version 2008-10-17)."""
    parts: list[Part] = []
    position = 0
    for match in _VARIABLE.finditer(text) if variables else ():
        _add_text(parts, text[position : match.start()], wildcards)
        escaped, inner = match.groups()
        parts.append(escaped if escaped is not None else _variable(inner))
        position = match.end()
    _add_text(parts, text[position:], wildcards)
    return Template(_merge_literals(parts))


def _variable(inner: str) -> Variable:
    match = _DEFAULTED.match(inner)
    return Variable(match[1], match[2]) if match else Variable(inner.strip(), None)


def _add_text(parts: list[Part], text: str, wildcards: bool) -> None:
    if not wildcards:
        parts.append(text)
        return
    for piece in re.split(r"([*?])", text):
        parts.append(Wildcard(piece) if piece in ("*", "?") else piece)


def _merge_literals(parts: list[Part]) -> tuple[Part, ...]:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str):
            if not part:
                continue
            if merged and isinstance(merged[-1], str):
                merged[-1] += part
                continue
        merged.append(part)
    return tuple(merged)


def literal(resolved: Resolved) -> str:
    """Resolved parts as text, wildcards as the characters they are written with."""
    return "".join(part.value if isinstance(part, Wildcard) else part for part in resolved)


@lru_cache(maxsize=4096)
def glob(resolved: Resolved) -> re.Pattern[str]:
    """A regular expression for parts in which ``*`` is any run of characters and ``?`` is any one.

    Each stretch between two stars is matched at its leftmost place and never tried elsewhere (atomic groups), which
    is enough for a glob and keeps hostile patterns linear: no backtracking into what already matched.
    """
    stretches: list[str] = [""]
    for part in resolved:
        if part is Wildcard.STAR:
            stretches.append("")
        else:
            stretches[-1] += "." if part is Wildcard.ANY else re.escape(str(part))
    first, *middle = stretches
    if not middle:
        return re.compile(rf"{first}\Z", re.DOTALL)
    *middle, last = middle
    return re.compile(first + "".join(f"(?>.*?{stretch})" for stretch in middle if stretch) + rf".*{last}\Z", re.DOTALL)
