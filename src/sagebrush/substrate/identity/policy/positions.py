"""Where a document's statements stand in its text: the Start- and EndPosition of a simulation's answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Span:
    """From a statement's opening brace to behind its closing one."""

    start: Position
    end: Position


def statement_spans(text: str) -> list[Span]:
    """The spans of the statements, in order. ``text`` is a document that was parsed without error."""
    spans: list[Span] = []
    depth, statement_depth, start = 0, 0, 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == '"Statement"' and depth == 1:
            statement_depth = 2
        elif mark in "{[":
            depth += 1
            if statement_depth == 2 and depth == 2 and mark == "[":
                statement_depth = 3
            elif mark == "{" and depth == statement_depth:
                start = token.start()
        elif mark in "}]":
            if mark == "}" and depth == statement_depth:
                spans.append(Span(_position(text, start), _position(text, token.end())))
            depth -= 1
            if depth == 1:
                statement_depth = 0
    return spans


def _position(text: str, offset: int) -> Position:
    return Position(text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1)
