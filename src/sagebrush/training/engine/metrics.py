"""Metrics out of log lines: each definition's regular expression searched in each line, its first group a number.

Source: "Define Training Metrics", SageMaker Developer Guide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from sagebrush.substrate.compute.output_reading import LogLine

#: Seconds one expression may take on one line; one that takes longer is not searched again in this job.
TIME_LIMIT = 0.25


@dataclass(frozen=True, slots=True)
class Point:
    """One value a job printed."""

    name: str
    timestamp_ms: int
    value: float


class MetricScanner:
    """The metric definitions of one job.

    ``needed`` gives for some of them a text that every match contains: looked for first, it costs a hundredth.
    """

    def __init__(self, definitions: Iterable[Mapping[str, str]], needed: Mapping[str, str] | None = None):
        self._expressions: dict[str, Any] = {d["Name"]: regex.compile(d["Regex"]) for d in definitions}
        self._needed = needed or {}
        #: Definitions given up because their expression takes too long, with the line's beginning.
        self.abandoned: dict[str, str] = {}

    def scan(self, lines: Sequence[LogLine]) -> list[Point]:
        """The values in these lines, in their order. Values that are no finite number are not metrics."""
        points = []
        for line in lines:
            for name in tuple(self._expressions):
                value = self._value(name, line.text)
                if value is not None:
                    points.append(Point(name, line.timestamp_ms, value))
        return points

    def _value(self, name: str, text: str) -> float | None:
        if self._needed.get(name, "") not in text:
            return None
        try:
            found = self._expressions[name].search(text, timeout=TIME_LIMIT)
        except TimeoutError:
            del self._expressions[name]
            self.abandoned[name] = text[:80]
            return None
        if found is None:
            return None
        try:
            value = float(found[1] if found.re.groups else found[0])
        except (TypeError, ValueError):
            return None
        return value if math.isfinite(value) else None


def latest(points: Iterable[Point]) -> dict[str, Point]:
    """The last point of each metric."""
    return {point.name: point for point in points}
