"""The front door's counts of an endpoint, read from its spool and made into CloudWatch's metrics.

Sources: "Monitor SageMaker AI with Amazon CloudWatch" (endpoint invocation metrics: names, units, dimensions).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagebrush.substrate.front_door import COUNTS_PREFIX
from sagebrush.substrate.telemetry import MetricPoint

NAMESPACE = "AWS/SageMaker"
_SECOND_US, _MINUTE_US = 1_000_000, 60_000_000
#: Values of one latency in one batch; more are put together by two significant digits.
_MOST_VALUES = 50
_MOST_BYTES = 1 << 20
#: A front door that was started a moment ago writes a file of its own.
_RECENT_FILES = 2


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines of one file of the spool, from one position to another. ``more``: the file goes on."""

    file: str
    start: int
    end: int
    lines: tuple[Mapping[str, Any], ...]
    more: bool


@dataclass(slots=True)
class _Totals:
    at_us: int
    invocations: int = 0
    client_errors: int = 0
    server_errors: int = 0
    model_errors: int = 0
    dropped: int = 0
    model_us: Counter[int] = field(default_factory=Counter)
    overhead_us: Counter[int] = field(default_factory=Counter)


def files(spool: Path) -> list[str]:
    """The files of counts, oldest first."""
    try:
        return sorted(path.name for path in spool.iterdir() if path.name.startswith(COUNTS_PREFIX))
    except FileNotFoundError:
        return []


def read(spool: Path, file: str, position: int) -> Part:
    """The whole lines after ``position``; lines that are none of the front door's are left out."""
    with (spool / file).open("rb") as stream:
        stream.seek(position)
        data = stream.read(_MOST_BYTES)
        more = bool(stream.read(1))
    whole = data[: data.rfind(b"\n") + 1]
    # A line longer than all that is read at once is no line of counts: it is passed over.
    end = position + (len(data) if more and not whole else len(whole))
    lines = tuple(line for line in map(_parsed, whole.splitlines()) if line is not None)
    return Part(file, position, end, lines, more)


def asked(spool: Path, variant: str, since_us: int) -> bool:
    """Whether the front door has counted a request to this variant since then; each second once it is over."""
    for file in files(spool)[-_RECENT_FILES:]:
        size = (spool / file).stat().st_size
        part = read(spool, file, max(0, size - _MOST_BYTES))
        if any(_tells(line, variant, since_us) for line in part.lines):
            return True
    return False


def points(lines: Iterable[Mapping[str, Any]], endpoint: str, instances: Mapping[str, int]) -> list[MetricPoint]:
    """The metrics of these lines, put together by variant and minute. ``instances``: how many each variant has."""
    totals: dict[tuple[str, int], _Totals] = {}
    for line in lines:
        key = line["variant"], line["at_us"] // _MINUTE_US
        _add(totals.setdefault(key, _Totals(line["at_us"])), line)
    return [
        point
        for (variant, _), total in totals.items()
        for point in _points(total, {"EndpointName": endpoint, "VariantName": variant}, instances.get(variant, 1))
    ]


def dropped(lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many captured records were dropped, by variant."""
    found: Counter[str] = Counter()
    for line in lines:
        if count := line.get("capture_dropped", 0):
            found[line["variant"]] += count
    return dict(found)


def _tells(line: Mapping[str, Any], variant: str, since_us: int) -> bool:
    """Whether a line counts a request to the variant since then."""
    return bool(line["variant"] == variant and line["invocations"] and line["at_us"] + _SECOND_US > since_us)


def _parsed(raw: bytes) -> Mapping[str, Any] | None:
    try:
        line = json.loads(raw)
        _add(_Totals(0), line)
        return line if isinstance(line["variant"], str) and line["at_us"] >= 0 else None
    except (ValueError, KeyError, TypeError):
        return None


def _add(total: _Totals, line: Mapping[str, Any]) -> None:
    total.invocations += line["invocations"]
    total.client_errors += line["4xx"]
    total.server_errors += line["5xx"]
    total.model_errors += line["model_errors"]
    for counter, name in ((total.model_us, "model_latency_us"), (total.overhead_us, "overhead_latency_us")):
        for value, count in line[name]:
            counter[int(value)] += int(count)


def _points(total: _Totals, dimensions: Mapping[str, str], instances: int) -> list[MetricPoint]:
    n = total.invocations

    def often(name: str, value: float, count: int, unit: str | None = None) -> list[MetricPoint]:
        point = MetricPoint(name, total.at_us, value, dimensions, unit, samples=float(count))
        return [point] if count > 0 else []

    found = often("Invocations", 1.0, n) + often("InvocationsPerInstance", 1.0 / max(1, instances), n)
    for name, count in (
        ("Invocation4XXErrors", total.client_errors),
        ("Invocation5XXErrors", total.server_errors),
        ("InvocationModelErrors", total.model_errors),
    ):
        # One for a request that failed so, zero for every other: so an average is a rate.
        found += often(name, 1.0, count) + often(name, 0.0, n - count)
    for name, counter in (("ModelLatency", total.model_us), ("OverheadLatency", total.overhead_us)):
        for value, count in _few(counter):
            found += often(name, float(value), count, "Microseconds")
    return found


def _few(counter: Counter[int]) -> Sequence[tuple[int, int]]:
    if len(counter) > _MOST_VALUES:
        coarse: Counter[int] = Counter()
        for value, count in counter.items():
            coarse[_two_digits(value)] += count
        counter = coarse
    return sorted(counter.items())


def _two_digits(value: int) -> int:
    if value < 100:
        return value
    unit: int = 10 ** (len(str(value)) - 2)
    return (value + unit // 2) // unit * unit
