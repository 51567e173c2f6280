"""What names, dimensions and statistics may be, and CloudWatch's errors.

Source: CloudWatch API reference (PutMetricData, GetMetricStatistics, MetricDatum) and user guide, "Statistics
definitions". Error codes are those that clients match on (``InvalidParameterValue``), not the shapes' names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.telemetry import Aggregate, MetricStore

MAX_DIMENSIONS = 30

_PERCENTILE = re.compile(r"p(100(\.0*)?|\d{1,2}(\.\d+)?)")


def store(call: Call) -> MetricStore:
    """The metric store of the caller's account and region."""
    return call.platform.telemetry.of(call.account, call.region).metrics


def invalid_value(message: str) -> CallerError:
    """A parameter has a value it cannot have."""
    return CallerError("InvalidParameterValue", message)


def invalid_combination(message: str) -> CallerError:
    """Parameters that cannot go together."""
    return CallerError("InvalidParameterCombination", message)


def missing(message: str) -> CallerError:
    """A parameter that is needed here is not there."""
    return CallerError("MissingParameter", message)


def dimensions(given: Iterable[Mapping[str, str]], where: str = "Dimensions") -> dict[str, str]:
    """Dimensions as a mapping. Raises InvalidParameterValue when they break a rule."""
    named: dict[str, str] = {}
    for number, dimension in enumerate(given, start=1):
        name, value = dimension["Name"], dimension["Value"]
        at = f"{where}.member.{number}"
        if name.startswith(":"):
            raise invalid_value(f"The parameter {at}.Name must not start with a colon.")
        for part, text in (("Name", name), ("Value", value)):
            if not text.isascii() or not text.strip():
                raise invalid_value(
                    f"The value {text} for parameter {at}.{part} is invalid: it must contain only ASCII characters and "
                    "at least one that is not white space."
                )
        if name in named:
            raise invalid_value(f"No Metric may specify the same dimension name twice; found {name} in {where}.")
        named[name] = value
    if len(named) > MAX_DIMENSIONS:
        raise invalid_value(f"The collection {where} must not have a size greater than {MAX_DIMENSIONS}.")
    return named


def percentile(statistic: str) -> float | None:
    """99.9 for ``p99.9``; None when it is no percentile."""
    match = _PERCENTILE.fullmatch(statistic)
    return None if match is None else float(match[1])


def is_statistic(name: str) -> bool:
    """Whether :func:`statistic` knows it."""
    return name in _STATISTICS or percentile(name) is not None


def statistic(name: str, aggregate: Aggregate) -> float | None:
    """A statistic of one period; None when it cannot be told from what was put (percentiles of statistic sets)."""
    if name in _STATISTICS:
        return _STATISTICS[name](aggregate)
    percent = percentile(name)
    return None if percent is None else aggregate.percentile(percent)


def _average(aggregate: Aggregate) -> float:
    return aggregate.total / aggregate.samples


_STATISTICS: dict[str, Callable[[Aggregate], float]] = {
    "SampleCount": lambda a: a.samples,
    "Average": _average,
    "Sum": lambda a: a.total,
    "Minimum": lambda a: a.minimum,
    "Maximum": lambda a: a.maximum,
}
