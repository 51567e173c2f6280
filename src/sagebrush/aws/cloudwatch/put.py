"""PutMetricData."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sagebrush.aws.cloudwatch import rules
from sagebrush.substrate.calls import Call
from sagebrush.substrate.clock import from_datetime
from sagebrush.substrate.identity.context import ContextValue
from sagebrush.substrate.telemetry import MetricPoint

#: Of a time stamp, before and after now: CloudWatch takes two weeks back and two hours ahead.
_DAY_US = 86_400_000_000
OLDEST_US = 14 * _DAY_US
NEWEST_US = _DAY_US // 12
#: Values beyond these magnitudes are refused.
LARGEST = 2.0**360


def condition_keys(call: Call, request: Mapping[str, Any]) -> dict[str, ContextValue]:
    """``cloudwatch:namespace`` of PutMetricData (iam-cw-condition-keys-namespace.html)."""
    return {"cloudwatch:namespace": request["Namespace"]} if call.operation == "PutMetricData" else {}


def put_metric_data(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Add points to series; the whole request is refused when one of them breaks a rule."""
    namespace = request["Namespace"]
    if namespace.startswith("AWS/"):
        raise rules.invalid_value("The value AWS/ for parameter Namespace is invalid.")
    if request.get("EntityMetricData"):
        raise rules.invalid_value("EntityMetricData is not supported by this endpoint; put the data in MetricData.")
    now_us = call.platform.clock.now_us()
    points: list[MetricPoint] = []
    for number, datum in enumerate(request.get("MetricData", []), start=1):
        points += _points(datum, f"MetricData.member.{number}", now_us)
    store = rules.store(call)
    call.platform.store.write(lambda tx: store.put_many(tx, namespace, points))
    return {}


def _points(datum: dict[str, Any], where: str, now_us: int) -> list[MetricPoint]:
    given = [member for member in ("Value", "Values", "StatisticValues") if member in datum]
    if not given:
        raise rules.missing(
            f"At least one of the parameters must be specified: {where}.Value, Values, StatisticValues."
        )
    if len(given) > 1:
        raise rules.invalid_combination(
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive."
        )
    timestamp_us = from_datetime(datum["Timestamp"]) if "Timestamp" in datum else now_us
    if not now_us - OLDEST_US <= timestamp_us <= now_us + NEWEST_US:
        raise rules.invalid_value(
            f"The parameter {where}.Timestamp must specify a time within the past two weeks and the next two hours."
        )
    identity = {
        "name": datum["MetricName"],
        "timestamp_us": timestamp_us,
        "dimensions": rules.dimensions(datum.get("Dimensions", []), f"{where}.Dimensions"),
        "unit": datum.get("Unit"),
    }
    if "StatisticValues" in datum:
        return [_statistic_set(datum["StatisticValues"], where, identity)]
    if "Value" in datum:
        return [MetricPoint(value=_number(datum["Value"], f"{where}.Value"), **identity)]
    return _counted(datum, where, identity)


def _counted(datum: dict[str, Any], where: str, identity: dict[str, Any]) -> list[MetricPoint]:
    values, counts = datum["Values"], datum.get("Counts")
    if counts is None:
        counts = [1.0] * len(values)
    if len(values) != len(counts):
        raise rules.invalid_value(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    return [
        MetricPoint(value=_number(value, f"{where}.Values"), samples=_number(count, f"{where}.Counts"), **identity)
        for value, count in zip(values, counts, strict=True)
    ]


def _statistic_set(values: dict[str, float], where: str, identity: dict[str, Any]) -> MetricPoint:
    checked = {name: _number(value, f"{where}.StatisticValues.{name}") for name, value in values.items()}
    if checked["SampleCount"] <= 0:
        raise rules.invalid_value(f"The parameter {where}.StatisticValues.SampleCount must be greater than 0.")
    if checked["Minimum"] > checked["Maximum"]:
        raise rules.invalid_value(f"The parameter {where}.StatisticValues.Maximum must not be less than Minimum.")
    return MetricPoint(
        value=None,
        samples=checked["SampleCount"],
        total=checked["Sum"],
        minimum=checked["Minimum"],
        maximum=checked["Maximum"],
        **identity,
    )


def _number(value: float, where: str) -> float:
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise rules.invalid_value(f"The value {value} for parameter {where} is invalid.")
    return value
