"""The models' regular expressions, which are Java's, compiled for Python.

AWS's services match a value *whole* (``Matcher.matches``), so ``[a-z]+`` refuses ``a_b`` although it has no anchors.
``re`` compiles nearly all of them; the rest (``\\p{L}`` and friends) go to ``regex``. Matching is most of the cost of
validating a request, so patterns are rewritten into equals that the engines run faster, or in linear time at all;
tests hold that they are equals.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from typing import Any, Final

import regex

Matcher = Callable[[str], Any]

#: Java writes the characters beyond the BMP as surrogate pairs; in Python they are one range of code points.
_SURROGATES: Final = (
    ("\\uD800\\uDC00-\\uDBFF\\uDFFF", "\U00010000-\U0010ffff"),
    ("\\ud800\\udc00-\\udbff\\udfff", "\U00010000-\U0010ffff"),
)

#: Patterns that backtrack beyond all measure on a hostile string, and what matches the same strings in linear time.
#: Found by running every pattern of the served models against long repetitive strings of its legal length.
_LINEAR: Final = {
    r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?": r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$": (
        r"[ \t]*[^\x00-\x1F:\x7F][^\x00-\x08\x0A-\x1F:\x7F]*"
    ),
    r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$": r"[ \t]*[\x20-\x7E][\t\x20-\x7E]*",
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*](?:[._\-/]?[a-z0-9*])*",
}

#: Patterns that accept anything, and those that accept anything on one line: no need to ask an engine.
_ANYTHING: Final = frozenset({r"[\s\S]*", r"[\S\s]*"})
_ONE_LINE: Final = frozenset({".*", "^.*$"})

#: SageMaker's names: a letter or digit, then hyphens that another one must end, ``{0,62}`` times. What may repeat
#: cannot begin what follows (the end, a slash, a semicolon), so nothing is ever gained by giving back, and possessive
#: quantifiers say so.
_NAME: Final = re.compile(
    r"(?P<start>\^?\[a-zA-Z0-9\])\((?P<between>-|\[-_\]|\[_-\]|\[-_\.\])\*(?P<end>\[a-zA-Z0-9\])\)"
    r"(?P<times>\{0,\d+\}|\*)(?=\)*(?:\$?(?:$|\|)|\\?/|;))"
)

#: What Unicode's categories mean among ASCII characters, inside a class.
_ASCII_CATEGORIES: Final = {r"\p{L}": "a-zA-Z", r"\p{N}": "0-9", r"\p{Z}": " ", r"\p{M}": ""}


@functools.lru_cache(maxsize=4096)
def full_matcher(pattern: str) -> Matcher | None:
    """A function that is truthy when a whole string matches.

    None when every string matches, and when neither engine can compile the pattern (a test holds that none is such).
    """
    if pattern in _ANYTHING:
        return None
    if pattern in _ONE_LINE:
        return _is_one_line
    pattern = _LINEAR.get(pattern, pattern)
    for java, python in _SURROGATES:
        pattern = pattern.replace(java, python)
    pattern = _NAME.sub(r"\g<start>(?:\g<between>*+\g<end>)\g<times>+", pattern)
    matcher = _compiled(re, _without_captures(pattern))
    return matcher if matcher is not None else _of_unicode(pattern)


def _is_one_line(text: str) -> bool:
    return "\n" not in text


def _of_unicode(pattern: str) -> Matcher | None:
    """For patterns with Unicode categories: most values are ASCII, and ``re`` is far faster with those."""
    matcher = _compiled(regex, pattern)
    ascii_pattern = pattern
    for category, members in _ASCII_CATEGORIES.items():
        ascii_pattern = ascii_pattern.replace(category, members)
    ascii_matcher = _compiled(re, _without_captures(ascii_pattern))
    if matcher is None or ascii_matcher is None or "\\p" in ascii_pattern:
        return matcher
    return lambda text: ascii_matcher(text) if text.isascii() else matcher(text)


def _compiled(engine: Any, pattern: str) -> Matcher | None:
    with warnings.catch_warnings():
        # FutureWarning: "possible nested set" in patterns like [[a-z]; the meaning we want is the one of today.
        warnings.simplefilter("ignore")
        try:
            matcher: Matcher = engine.compile(pattern).fullmatch
        except (re.error, regex.error, OverflowError):
            return None
    return matcher


def _without_captures(pattern: str) -> str:
    """Plain groups as non-capturing ones: nobody asks for their text, and remembering it costs time."""
    if re.search(r"\\[1-9]", pattern):
        return pattern
    pieces = []
    in_class = escaped = False
    for index, character in enumerate(pattern):
        pieces.append(character)
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif in_class:
            # "]" right behind "[" or "[^" is a member.
            in_class = character != "]" or pattern[index - 1] == "[" or pattern[index - 2 : index] == "[^"
        elif character == "[":
            in_class = True
        elif character == "(" and pattern[index + 1 : index + 2] != "?":
            pieces.append("?:")
    return "".join(pieces)
