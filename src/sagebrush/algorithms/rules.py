"""Rules for hyperparameters, which always arrive as strings: kinds, legal values, and messages that name both.

Pure: importing this needs no library. The wording starts as that of SageMaker's containers (``Hyperparameter eta: 7 is
not in [0, 1]``), since people search for it.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Interval:
    """Legal numbers; an end that is None is open towards infinity."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low is None or (value > self.low if self.low_open else value >= self.low)
        below = self.high is None or (value < self.high if self.high_open else value <= self.high)
        return above and below

    def __str__(self) -> str:
        left = "(-∞" if self.low is None else f"{'(' if self.low_open else '['}{self.low:.15g}"
        right = "+∞)" if self.high is None else f"{self.high:.15g}{')' if self.high_open else ']'}"
        return f"{left}, {right}"


@dataclass(frozen=True)
class Rule:
    """One hyperparameter: its name, how its text becomes a value, which values are legal, and the names it also has.

    ``parse`` raises ValueError for text that is none of its kind. ``problem`` answers what is wrong with a value, or
    None.
    """

    name: str
    kind: str
    parse: Callable[[str], Any]
    problem: Callable[[Any], str | None]
    required: bool = False
    aliases: tuple[str, ...] = ()


def integer(name: str, interval: Interval = Interval(), *, required: bool = False) -> Rule:
    """A whole number."""

    def parse(text: str) -> int:
        value = float(text)
        if not value.is_integer():
            raise ValueError(text)
        return int(value)

    return Rule(name, f"an integer in {interval}", parse, _outside(interval), required)


def real(name: str, interval: Interval = Interval(), *, aliases: tuple[str, ...] = ()) -> Rule:
    """A finite number."""

    def parse(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(text)
        return value

    return Rule(name, f"a number in {interval}", parse, _outside(interval), aliases=aliases)


def choice(name: str, values: Sequence[str]) -> Rule:
    """One of some words."""

    def problem(value: str) -> str | None:
        return None if value in values else f"{value} is not in [{', '.join(values)}]{_suggestion(value, values)}"

    return Rule(name, "a word", str, problem)


def flag(name: str) -> Rule:
    """``true`` or ``false``; SDKs also write Python's own True and False."""

    def problem(value: str) -> str | None:
        return None if value in ("true", "false") else f"{value} is not in [true, false]"

    return Rule(name, "true or false", str.lower, problem)


def words(name: str, problem_of_word: Callable[[str], str | None]) -> Rule:
    """Words separated by commas."""

    def parse(text: str) -> list[str]:
        items = json.loads(text) if text.startswith("[") else text.split(",")
        if not all(isinstance(item, str) for item in items):
            raise ValueError(text)
        return [item.strip() for item in items if item.strip()]

    def problem(items: list[str]) -> str | None:
        if not items:
            return "the list is empty"
        return next((found for item in items if (found := problem_of_word(item))), None)

    return Rule(name, "a comma-separated list of words", parse, problem)


def nested(name: str, kind: str, problem: Callable[[Any], str | None]) -> Rule:
    """A list, tuple or list of lists, written as in JSON or Python."""

    def parse(text: str) -> Any:
        return json.loads(text.strip().replace("(", "[").replace(")", "]").replace(",]", "]"))

    return Rule(name, kind, parse, problem)


def _outside(interval: Interval) -> Callable[[float], str | None]:
    return lambda value: None if value in interval else f"{value:.15g} is not in {interval}"


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def check(rules: Sequence[Rule], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(values by the rules' names, problems). Every problem is found, not only the first."""
    by_name = {alias: rule for rule in rules for alias in (rule.name, *rule.aliases)}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, text in given.items():
        rule = by_name.get(name)
        if rule is None:
            problems.append(f"Extraneous hyperparameter found: {name}{_suggestion(name, by_name)}")
            continue
        try:
            value = rule.parse(_plain(text))
        except (ValueError, TypeError, OverflowError):
            problems.append(f"Hyperparameter {name}: could not parse value '{text}'; it must be {rule.kind}")
            continue
        problem = rule.problem(value)
        if problem:
            problems.append(f"Hyperparameter {name}: {problem}")
        else:
            values[rule.name] = value
    named = {by_name[name].name for name in given if name in by_name}
    problems += [f"Missing required hyperparameter: {r.name}" for r in rules if r.required and r.name not in named]
    return values, problems


def _plain(text: Any) -> str:
    """The text itself; some SDK paths wrap it in JSON quotes."""
    if not isinstance(text, str):
        return json.dumps(text)
    stripped = text.strip()
    if len(stripped) >= 2 and stripped[0] == stripped[-1] == '"':
        unquoted = json.loads(stripped)
        return unquoted if isinstance(unquoted, str) else stripped
    return stripped
