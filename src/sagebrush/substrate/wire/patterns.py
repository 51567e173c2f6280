"""The models' regular expressions, which are Java's, compiled for Python.

AWS's services match a value *whole* (``Matcher.matches``), so ``[a-z]+`` refuses ``a_b`` although it has no anchors.
``re`` compiles nearly all of them; the rest (``\\p{L}`` and friends) go to ``regex``.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from typing import Any

import regex

#: Java writes the characters beyond the BMP as surrogate pairs; in Python they are one range of code points.
_SURROGATES = (
    ("\\uD800\\uDC00-\\uDBFF\\uDFFF", "\U00010000-\U0010ffff"),
    ("\\ud800\\udc00-\\udbff\\udfff", "\U00010000-\U0010ffff"),
)

#: Patterns that backtrack beyond all measure on a hostile string, and what matches the same strings in linear time.
#: Found by running every pattern of the served models against long repetitive strings of its legal length.
_LINEAR = {
    r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?": r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$": (
        r"[ \t]*[^\x00-\x1F:\x7F][^\x00-\x08\x0A-\x1F:\x7F]*"
    ),
    r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$": r"[ \t]*[\x20-\x7E][\t\x20-\x7E]*",
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*](?:[._\-/]?[a-z0-9*])*",
}


@functools.lru_cache(maxsize=4096)
def full_matcher(pattern: str) -> Callable[[str], Any] | None:
    """A function that is truthy when a whole string matches; None when neither engine can compile the pattern."""
    pattern = _LINEAR.get(pattern, pattern)
    for java, python in _SURROGATES:
        pattern = pattern.replace(java, python)
    with warnings.catch_warnings():
        # FutureWarning: "possible nested set" in patterns like [[a-z]; the meaning we want is the one of today.
        warnings.simplefilter("ignore")
        for compiler in (re.compile, regex.compile):
            try:
                return compiler(pattern).fullmatch
            except (re.error, regex.error, OverflowError):
                continue
    return None
