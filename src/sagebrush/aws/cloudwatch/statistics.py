"""GetMetricStatistics and GetMetricData (MetricStat queries)."""

from __future__ import annotations

from typing import Any

from sagebrush.aws.cloudwatch import rules
from sagebrush.substrate.calls import Call
from sagebrush.substrate.clock import from_datetime, to_datetime
from sagebrush.substrate.telemetry import Aggregate

#: CloudWatch's limits on one answer.
STATISTICS_POINTS = 1440
DATA_POINTS = 100_800
_MINUTE_US = 60_000_000
_SHORT_PERIODS = (1, 5, 10, 20, 30)


def get_metric_statistics(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Statistics of one metric by period, oldest first; no data points for a metric that is not there."""
    plain, extended = request.get("Statistics", []), request.get("ExtendedStatistics", [])
    if not plain and not extended:
        raise rules.missing("Must specify either Statistics or ExtendedStatistics.")
    for name in extended:
        if rules.percentile(name) is None:
            raise rules.invalid_value(f"The value {name} for parameter ExtendedStatistics is not supported.")
    start_us, end_us = _range(request)
    period = _period(request["Period"])
    points = -(-(end_us - start_us) // (period * 1_000_000))
    if points > STATISTICS_POINTS:
        raise rules.invalid_combination(
            f"You have requested up to {points:,} datapoints, which exceeds the limit of {STATISTICS_POINTS:,}. You "
            "may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )
    metric = {"Namespace": request["Namespace"], "MetricName": request["MetricName"]}
    metric["Dimensions"] = request.get("Dimensions", [])
    aggregates = _aggregates(call, metric, start_us, end_us, period, request.get("Unit"), bool(extended))
    datapoints = [_datapoint(aggregate, plain, extended) for aggregate in aggregates]
    return {"Label": request["MetricName"], "Datapoints": datapoints}


def _datapoint(aggregate: Aggregate, plain: list[str], extended: list[str]) -> dict[str, Any]:
    datapoint: dict[str, Any] = {"Timestamp": to_datetime(aggregate.timestamp_us), "Unit": aggregate.unit}
    for name in plain:
        datapoint[name] = rules.statistic(name, aggregate)
    percentiles = {name: rules.statistic(name, aggregate) for name in extended}
    if known := {name: value for name, value in percentiles.items() if value is not None}:
        datapoint["ExtendedStatistics"] = known
    return datapoint


def get_metric_data(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Several metrics at once, newest first unless asked otherwise. Expressions are refused, not guessed."""
    queries = request["MetricDataQueries"]
    ids = [query["Id"] for query in queries]
    if len(set(ids)) != len(ids):
        raise rules.invalid_value("The values for parameter id in MetricDataQueries are not unique.")
    start_us, end_us = _range(request)
    newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    most = request.get("MaxDatapoints", DATA_POINTS)
    results = [
        _result(call, query, start_us, end_us, newest_first) for query in queries if query.get("ReturnData", True)
    ]
    total = sum(len(result["Values"]) for result in results)
    if total > most:
        raise rules.invalid_combination(
            f"The queries have {total:,} datapoints, more than the {most:,} that one answer may hold. Increase Period, "
            "or decrease the time range."
        )
    return {"MetricDataResults": results, "Messages": []}


def _result(call: Call, query: dict[str, Any], start_us: int, end_us: int, newest_first: bool) -> dict[str, Any]:
    if "MetricStat" not in query:
        raise rules.invalid_value(
            f"Metric math and Metrics Insights expressions are not supported by this endpoint; the query {query['Id']} "
            "needs MetricStat."
        )
    stat = query["MetricStat"]
    if not rules.is_statistic(stat["Stat"]):
        raise rules.invalid_value(f"The value {stat['Stat']} for parameter MetricStat.Stat is not supported.")
    percentile = rules.percentile(stat["Stat"]) is not None
    period = _period(stat["Period"])
    aggregates = _aggregates(call, stat["Metric"], start_us, end_us, period, stat.get("Unit"), percentile)
    pairs = [(a.timestamp_us, rules.statistic(stat["Stat"], a)) for a in aggregates]
    known = sorted(((time, value) for time, value in pairs if value is not None), reverse=newest_first)
    return {
        "Id": query["Id"],
        "Label": query.get("Label", stat["Metric"]["MetricName"]),
        "Timestamps": [to_datetime(time) for time, _ in known],
        "Values": [value for _, value in known],
        "StatusCode": "Complete",
    }


def _aggregates(
    call: Call, metric: dict[str, Any], start_us: int, end_us: int, period: int, unit: str | None, distribution: bool
) -> list[Aggregate]:
    dimensions = rules.dimensions(metric.get("Dimensions", []))
    store = rules.store(call)
    return call.platform.store.read(
        lambda conn: store.statistics(
            conn,
            metric["Namespace"],
            metric["MetricName"],
            dimensions,
            start_us=start_us,
            end_us=end_us,
            period_seconds=period,
            unit=unit,
            distribution=distribution,
        )
    )


def _range(request: dict[str, Any]) -> tuple[int, int]:
    """Start (rounded down to the minute, as CloudWatch does) and end in microseconds."""
    start_us, end_us = from_datetime(request["StartTime"]), from_datetime(request["EndTime"])
    if start_us >= end_us:
        raise rules.invalid_value("The parameter StartTime must be less than the parameter EndTime.")
    return start_us // _MINUTE_US * _MINUTE_US, end_us


def _period(seconds: int) -> int:
    if seconds in _SHORT_PERIODS or (seconds > 0 and seconds % 60 == 0):
        return seconds
    raise rules.invalid_value("The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60.")
