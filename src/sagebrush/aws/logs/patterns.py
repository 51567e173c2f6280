"""Filter patterns of FilterLogEvents: terms, "quoted phrases", ``?any`` and ``-not``.

Source: "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail", CloudWatch
Logs user guide. Terms are matched case-sensitively anywhere in the message; all of them must occur, or one of those
marked ``?`` where every term is so marked (with other terms beside them, ``?`` terms are ignored, as in AWS).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sagebrush.aws.logs.names import invalid

_TERM = re.compile(r'\s*(?P<mark>[-?]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s"]+))(?=\s|$)')
_PLAIN = re.compile(r"\w+")
_REFUSED = {
    "{": "JSON patterns ({ $.field = value })",
    "[": "space-delimited patterns ([a, b, c])",
    "%": "regular expressions (%expression%)",
}


def compile_pattern(pattern: str) -> Callable[[str], bool] | None:
    """A test for messages; None when every message matches. Raises InvalidParameterException."""
    text = pattern.strip()
    if text in ("", '""'):
        return None
    if text[0] in _REFUSED:
        raise invalid(
            f"Invalid filter pattern: {_REFUSED[text[0]]} are not supported by this endpoint; "
            'use terms, "quoted phrases", ?any and -not.'
        )
    wanted, optional, unwanted = _terms(text)

    def matches(message: str) -> bool:
        if any(term in message for term in unwanted):
            return False
        if wanted or unwanted:
            return all(term in message for term in wanted)
        return any(term in message for term in optional)

    return matches


def _terms(text: str) -> tuple[list[str], list[str], list[str]]:
    """(must occur, marked ``?``, must not occur)."""
    found: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise invalid(f"Invalid filter pattern: cannot read {text[at:]!r}.")
        found[match["mark"]].append(_term(match))
        at = match.end()
    return found[""], found["?"], found["-"]


def _term(match: re.Match[str]) -> str:
    if match["quoted"] is not None:
        return re.sub(r"\\(.)", r"\1", match["quoted"])
    plain = match["plain"]
    if not _PLAIN.fullmatch(plain):
        raise invalid(f"Invalid character(s) in term '{plain}': put terms with other characters in double quotes.")
    return plain
