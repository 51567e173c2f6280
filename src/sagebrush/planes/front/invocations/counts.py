"""Invocations, errors and latencies, counted per variant and second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

_SECOND_US: Final = 1_000_000
_MOST_PAIRS: Final = 100


class Second:
    """What one variant did in one second. Latencies in microseconds."""

    __slots__ = (
        "at_us",
        "capture_dropped",
        "client_errors",
        "invocations",
        "model_errors",
        "model_us",
        "overhead_us",
        "server_errors",
        "variant",
    )

    def __init__(self, variant: str, at_us: int):
        self.variant = variant
        self.at_us = at_us
        self.invocations = self.client_errors = self.server_errors = self.model_errors = self.capture_dropped = 0
        self.model_us: list[int] = []
        self.overhead_us: list[int] = []

    def line(self) -> dict[str, Any]:
        """As it is written to the spool."""
        return {
            "at_us": self.at_us,
            "variant": self.variant,
            "invocations": self.invocations,
            "4xx": self.client_errors,
            "5xx": self.server_errors,
            "model_errors": self.model_errors,
            "capture_dropped": self.capture_dropped,
            "model_latency_us": histogram(self.model_us),
            "overhead_latency_us": histogram(self.overhead_us),
        }


class Counts:
    """The counts of one variant; ``finished`` is handed every second that is over."""

    def __init__(self, variant: str, now_us: Callable[[], int], finished: Callable[[Second], None]):
        self._variant = variant
        self._now_us = now_us
        self._finished = finished
        self._current: Second | None = None
        self._begins_us = self._ends_us = 0

    @property
    def current(self) -> Second:
        """The second that runs now."""
        now_us = self._now_us()
        current = self._current
        if current is None or not self._begins_us <= now_us < self._ends_us:
            self.flush()
            self._begins_us = now_us - now_us % _SECOND_US
            self._ends_us = self._begins_us + _SECOND_US
            self._current = current = Second(self._variant, self._begins_us)
        return current

    def answered(self, model_us: int, overhead_us: int) -> None:
        """The model has answered one: after this long, and after this long with us before it was asked."""
        current = self.current
        current.invocations += 1
        current.model_us.append(model_us)
        current.overhead_us.append(overhead_us)

    def roll(self) -> None:
        """Hand over a second that is over."""
        if self._current is not None and self._now_us() >= self._ends_us:
            self.flush()

    def flush(self) -> None:
        """Hand over what there is, even when its second is not over."""
        current, self._current = self._current, None
        if current is not None:
            self._finished(current)


def histogram(values: list[int]) -> list[list[int]]:
    """Values to three significant digits with how often they occurred; to fewer where that would be too many."""
    for digits in (3, 2, 1):
        counted = Counter(rounded(value, digits) for value in values)
        if len(counted) <= _MOST_PAIRS:
            break
    return [[value, count] for value, count in sorted(counted.items())]


def rounded(value: int, digits: int) -> int:
    """A whole number to so many significant digits."""
    if value < 10**digits:
        return value
    unit: int = 10 ** (len(str(value)) - digits)
    return (value + unit // 2) // unit * unit
