"""CloudWatch metrics as its clients use it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sagebrush.aws.cloudwatch import CAPABILITY
from sagebrush.substrate.errors import CallerError
from tests.aws.calling import Caller, calling

#: The clock's time, 2023-11-14 22:13:20.
NOW = datetime.fromtimestamp(1_700_000_000, UTC)
NAMESPACE = "/aws/sagemaker/TrainingJobs"
JOB = [{"Name": "TrainingJobName", "Value": "job"}]


@pytest.fixture
def cloudwatch(tmp_path: Path) -> Iterator[Caller]:
    with calling(CAPABILITY, "cloudwatch", tmp_path) as caller:
        yield caller


def put(cloudwatch: Caller, *data: dict[str, Any], namespace: str = NAMESPACE) -> None:
    items = [{"MetricName": "auc", "Dimensions": JOB, "Timestamp": NOW} | datum for datum in data]
    cloudwatch.call("PutMetricData", Namespace=namespace, MetricData=items)


def statistics(cloudwatch: Caller, **changes: Any) -> list[dict[str, Any]]:
    request = {"Namespace": NAMESPACE, "MetricName": "auc", "Dimensions": JOB, "Period": 60, "Statistics": ["Average"]}
    request |= {"StartTime": NOW - timedelta(hours=1), "EndTime": NOW + timedelta(minutes=1)}
    answer = cloudwatch.call("GetMetricStatistics", **{k: v for k, v in (request | changes).items() if v is not None})
    assert answer["Label"] == "auc"
    return list(answer["Datapoints"])


def refused(cloudwatch: Caller, operation: str, **request: Any) -> tuple[str, str]:
    with pytest.raises(CallerError) as caught:
        cloudwatch.call(operation, **request)
    return caught.value.code, caught.value.message


def test_training_job_analytics_finds_averages_by_minute(cloudwatch: Caller) -> None:
    put(cloudwatch, {"Value": 0.5}, {"Value": 0.7}, {"Value": 0.9, "Timestamp": NOW - timedelta(minutes=2)})
    found = statistics(cloudwatch)
    assert [(d["Timestamp"].minute, d["Unit"]) for d in found] == [(11, "None"), (13, "None")]
    assert [d["Average"] for d in found] == pytest.approx([0.9, 0.6])


def test_a_metric_that_is_not_there_has_no_datapoints(cloudwatch: Caller) -> None:
    assert statistics(cloudwatch) == []
    put(cloudwatch, {"Value": 1.0})
    assert statistics(cloudwatch, Dimensions=[]) == []


def test_every_statistic_and_percentile(cloudwatch: Caller) -> None:
    put(cloudwatch, {"Values": [1.0, 2.0, 10.0], "Counts": [5.0, 4.0, 1.0], "Unit": "Seconds"})
    names = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
    (point,) = statistics(cloudwatch, Statistics=names, ExtendedStatistics=["p50", "p99"])
    assert [point[name] for name in names] == [10.0, 2.3, 23.0, 1.0, 10.0]
    assert point["ExtendedStatistics"] == {"p50": 1.0, "p99": 10.0}
    assert point["Unit"] == "Seconds"
    assert statistics(cloudwatch, Unit="Bytes") == []


def test_statistic_sets_count_without_percentiles(cloudwatch: Caller) -> None:
    put(cloudwatch, {"StatisticValues": {"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0}})
    (point,) = statistics(cloudwatch, ExtendedStatistics=["p90"])
    assert point["Average"] == 2.5
    assert "ExtendedStatistics" not in point


@pytest.mark.parametrize(
    ("datum", "code"),
    [
        ({}, "MissingParameter"),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
        ({"Value": float("nan")}, "InvalidParameterValue"),
        ({"Value": float("inf")}, "InvalidParameterValue"),
        ({"Value": 2.0**361}, "InvalidParameterValue"),
        ({"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue"),
        ({"Value": 1.0, "Timestamp": NOW - timedelta(days=15)}, "InvalidParameterValue"),
        ({"Value": 1.0, "Timestamp": NOW + timedelta(hours=3)}, "InvalidParameterValue"),
        ({"Value": 1.0, "Dimensions": [{"Name": ":a", "Value": "b"}]}, "InvalidParameterValue"),
        ({"Value": 1.0, "Dimensions": [{"Name": "a", "Value": "ü"}]}, "InvalidParameterValue"),
        ({"Value": 1.0, "Dimensions": JOB + JOB}, "InvalidParameterValue"),
        (
            {"StatisticValues": {"SampleCount": 0.0, "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0}},
            "InvalidParameterValue",
        ),
    ],
)
def test_data_that_breaks_a_rule_is_refused_whole(cloudwatch: Caller, datum: dict[str, Any], code: str) -> None:
    with pytest.raises(CallerError) as caught:
        put(cloudwatch, {"Value": 1.0}, datum)
    assert caught.value.code == code
    assert "MetricData.member.2" in caught.value.message
    assert statistics(cloudwatch) == []


def test_the_namespace_of_aws_itself_is_refused(cloudwatch: Caller) -> None:
    with pytest.raises(CallerError, match="Namespace is invalid"):
        put(cloudwatch, {"Value": 1.0}, namespace="AWS/EC2")


def test_questions_that_cannot_be_answered_are_refused(cloudwatch: Caller) -> None:
    def told(**changes: Any) -> str:
        with pytest.raises(CallerError) as caught:
            statistics(cloudwatch, **changes)
        return caught.value.code

    assert told(Statistics=None) == "MissingParameter"
    assert told(StartTime=NOW + timedelta(hours=2)) == "InvalidParameterValue"
    assert told(Period=61) == "InvalidParameterValue"
    assert told(StartTime=NOW - timedelta(days=3)) == "InvalidParameterCombination"
    assert told(ExtendedStatistics=["tm90"]) == "InvalidParameterValue"


def test_get_metric_data_answers_several_queries_newest_first(cloudwatch: Caller) -> None:
    put(cloudwatch, {"Value": 0.5}, {"Value": 0.9, "Timestamp": NOW - timedelta(minutes=2)})
    put(cloudwatch, {"MetricName": "loss", "Value": 3.0})

    def query(name: str, stat: str, **more: Any) -> dict[str, Any]:
        metric = {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": JOB}
        return {"Id": f"q{name}", "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}} | more

    asked = {"StartTime": NOW - timedelta(hours=1), "EndTime": NOW + timedelta(minutes=1)}
    queries = [query("auc", "Maximum"), query("loss", "p50", Label="my loss"), query("none", "Sum")]
    first, second, third = cloudwatch.call("GetMetricData", MetricDataQueries=queries, **asked)["MetricDataResults"]
    assert (first["Label"], first["Values"], first["StatusCode"]) == ("auc", [0.5, 0.9], "Complete")
    assert first["Timestamps"] == sorted(first["Timestamps"], reverse=True)
    assert (second["Label"], second["Values"]) == ("my loss", [3.0])
    assert third["Values"] == []
    oldest_first = cloudwatch.call("GetMetricData", MetricDataQueries=queries, ScanBy="TimestampAscending", **asked)
    assert oldest_first["MetricDataResults"][0]["Values"] == [0.9, 0.5]
    math = [{"Id": "e1", "Expression": "SUM(METRICS())"}]
    assert "not supported" in refused(cloudwatch, "GetMetricData", MetricDataQueries=math, **asked)[1]
    twice = [query("auc", "Sum")] * 2
    assert "not unique" in refused(cloudwatch, "GetMetricData", MetricDataQueries=twice, **asked)[1]


def test_metrics_are_listed_in_pages(cloudwatch: Caller) -> None:
    names = [f"m{n:03d}" for n in range(502)]
    put(cloudwatch, *({"MetricName": name, "Value": 1.0} for name in names))
    first = cloudwatch.call("ListMetrics", Namespace=NAMESPACE)
    assert len(first["Metrics"]) == 500
    second = cloudwatch.call("ListMetrics", Namespace=NAMESPACE, NextToken=first["NextToken"])
    assert "NextToken" not in second
    listed = first["Metrics"] + second["Metrics"]
    assert [metric["MetricName"] for metric in listed] == names
    assert listed[0]["Dimensions"] == JOB
    assert cloudwatch.call("ListMetrics", Dimensions=[{"Name": "Host"}])["Metrics"] == []
    assert len(cloudwatch.call("ListMetrics", MetricName="m001", Dimensions=JOB)["Metrics"]) == 1
    other = refused(cloudwatch, "ListMetrics", Namespace="other", NextToken=first["NextToken"])
    assert other == ("InvalidParameterValue", "Invalid NextToken")


def test_recently_active_metrics_are_those_of_three_hours(cloudwatch: Caller) -> None:
    put(cloudwatch, {"Value": 1.0})
    cloudwatch.clock.advance(4 * 3600)
    put(cloudwatch, {"MetricName": "new", "Value": 1.0, "Timestamp": NOW + timedelta(hours=4)})
    recent = cloudwatch.call("ListMetrics", RecentlyActive="PT3H")["Metrics"]
    assert [metric["MetricName"] for metric in recent] == ["new"]
