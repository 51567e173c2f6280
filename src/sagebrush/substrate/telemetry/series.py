"""What a metric series, a point of it and an aggregate over it are."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """Measurements of one metric at one time.

    A single value (the common case), one ``value`` that was measured ``samples`` times, or a statistic set: then
    ``value`` is None and ``total``, ``minimum`` and ``maximum`` tell what is known of the ``samples`` values.
    """

    name: str
    timestamp_us: int
    value: float | None
    dimensions: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    samples: float = 1.0
    total: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0

    def finite(self) -> bool:
        """False for NaN and infinities, which CloudWatch does not take."""
        numbers = (self.value or 0.0, self.samples, self.total, self.minimum, self.maximum)
        return all(math.isfinite(number) for number in numbers)

    def statistics(self) -> tuple[float, float, float, float]:
        """(samples, total, minimum, maximum)."""
        if self.value is None:
            return self.samples, self.total, self.minimum, self.maximum
        return self.samples, self.value * self.samples, self.value, self.value


@dataclass(frozen=True, slots=True)
class Series:
    """The identity of a metric: name and all dimensions within a namespace."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    last_us: int
    id: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The measurements of one period in one unit; ``timestamp_us`` is the period's beginning.

    ``distribution`` holds (value, samples) where percentiles were asked for and the values are known.
    """

    timestamp_us: int
    unit: str
    samples: float
    total: float
    minimum: float
    maximum: float
    distribution: Sequence[tuple[float, float]] = ()

    def percentile(self, percent: float) -> float | None:
        """The value below which ``percent`` of the measurements lie; None when single values are unknown."""
        if not self.distribution:
            return None
        ordered = sorted(self.distribution)
        rank = percent / 100 * sum(samples for _, samples in ordered)
        seen = 0.0
        for value, samples in ordered:
            seen += samples
            if seen >= rank:
                return value
        return ordered[-1][0]


def canonical(dimensions: Mapping[str, str]) -> str:
    """Dimensions as text that does not depend on their order."""
    return json.dumps(dict(sorted(dimensions.items())), ensure_ascii=False, separators=(",", ":"))


def digest(canonical_dimensions: str) -> str:
    """A short key for dimensions, for the unique index."""
    return hashlib.sha256(canonical_dimensions.encode()).hexdigest()
