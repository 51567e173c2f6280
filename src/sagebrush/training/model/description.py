"""A stored job as DescribeTrainingJob and ListTrainingJobs show it.

The body of a row: ``request`` (CreateTrainingJob's members, kept verbatim but for name and tags), ``secondary``
(SecondaryStatus), ``algorithm`` (the built-in one that runs, if any) and, as they become known, ``started_us``,
``ended_us``, ``failure_reason`` and ``metrics`` (FinalMetricDataList at the end).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.objects.locations import S3Location
from sagebrush.substrate.resources import Row
from sagebrush.training.model import builtin, locations, times
from sagebrush.training.model.phases import TERMINAL, Phase, Secondary, Status

#: Members of CreateTrainingJob that DescribeTrainingJob does not have.
_NOT_ECHOED = frozenset({"Tags", "SessionChainingConfig"})


#: What DescribeTrainingJob says although the request did not.
_SAID_BY_DEFAULT: Mapping[str, Any] = {
    "EnableNetworkIsolation": False,
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
}


def body_of(request: Mapping[str, Any], algorithm: str | None) -> dict[str, Any]:
    """The body of a new job; StoppingCondition gets its documented default, as Describe must show one."""
    kept = {k: v for k, v in request.items() if k not in _NOT_ECHOED and k != "TrainingJobName"}
    condition = {"MaxRuntimeInSeconds": times.DEFAULT_MAX_RUNTIME} | kept.get("StoppingCondition", {})
    body = {"request": kept | {"StoppingCondition": condition}, "secondary": Secondary.STARTING.value}
    return body | {"algorithm": algorithm} if algorithm else body


def phase_of(row: Row) -> Phase:
    """Where a stored job stands."""
    return Phase(Status(row.status), Secondary(row.body["secondary"]))


def model_location(row: Row) -> S3Location:
    """Where the job's model artefact goes."""
    output = row.body["request"]["OutputDataConfig"]
    return locations.model_artifacts(output["S3OutputPath"], row.name, output.get("CompressionType", "GZIP"))


def describe(row: Row, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """DescribeTrainingJob's output; what is not known yet is absent."""
    body = row.body
    shown = {**_SAID_BY_DEFAULT, **body["request"]}
    # The SDK's Estimator.attach() reads it whether it was given or not.
    shown["OutputDataConfig"] = {"KmsKeyId": ""} | shown["OutputDataConfig"]
    shown |= {
        "TrainingJobName": row.name,
        "TrainingJobArn": row.arn,
        "TrainingJobStatus": row.status,
        "SecondaryStatus": body["secondary"],
        "CreationTime": to_datetime(row.created_us),
        "LastModifiedTime": to_datetime(row.modified_us),
        "ModelArtifacts": {"S3ModelArtifacts": str(model_location(row))},
        "SecondaryStatusTransitions": [_transition(entry) for entry in history],
    }
    if body.get("algorithm"):
        shown["AlgorithmSpecification"] = _with_builtin_metrics(shown["AlgorithmSpecification"], body["algorithm"])
    if "started_us" in body:
        shown["TrainingStartTime"] = to_datetime(body["started_us"])
    if "ended_us" in body:
        shown["TrainingEndTime"] = to_datetime(body["ended_us"])
    if "started_us" in body and "ended_us" in body:
        seconds = times.seconds_between(body["started_us"], body["ended_us"])
        shown |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    if "failure_reason" in body:
        shown["FailureReason"] = body["failure_reason"]
    if body.get("metrics"):
        shown["FinalMetricDataList"] = final_metrics(body["metrics"])
    return shown


def summarize(row: Row) -> dict[str, Any]:
    """One entry of ListTrainingJobs."""
    summary = {
        "TrainingJobName": row.name,
        "TrainingJobArn": row.arn,
        "TrainingJobStatus": row.status,
        "SecondaryStatus": row.body["secondary"],
        "CreationTime": to_datetime(row.created_us),
        "LastModifiedTime": to_datetime(row.modified_us),
    }
    if "ended_us" in row.body:
        summary["TrainingEndTime"] = to_datetime(row.body["ended_us"])
    return summary


def final_metrics(metrics: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """FinalMetricDataList from stored points (name, value, timestamp_us); at most as many as the shape allows."""
    entries = [
        {"MetricName": m["name"], "Value": m["value"], "Timestamp": to_datetime(m["timestamp_us"])} for m in metrics
    ]
    return sorted(entries, key=lambda entry: str(entry["MetricName"]))[: builtin.MOST_SHOWN]


def metered(row: Row) -> dict[str, Any] | None:
    """What a job uses while it stands where it stands: instances by type; None before and after it has any."""
    if "started_us" not in row.body or row.status in TERMINAL:
        return None
    config = row.body["request"]["ResourceConfig"]
    groups = config.get("InstanceGroups") or [config]
    return {"instances": [{"type": g["InstanceType"], "count": g["InstanceCount"]} for g in groups]}


def _transition(entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        "Status": entry["secondary"],
        "StartTime": to_datetime(entry["started_us"]),
        "StatusMessage": entry["message"],
    }
    if entry["ended_us"] is not None:
        shown["EndTime"] = to_datetime(entry["ended_us"])
    return shown


def _with_builtin_metrics(specification: Mapping[str, Any], algorithm: str) -> dict[str, Any]:
    own = specification.get("MetricDefinitions", [])
    return dict(specification) | {
        "MetricDefinitions": builtin.effective_definitions(algorithm, own)[: builtin.MOST_SHOWN]
    }
