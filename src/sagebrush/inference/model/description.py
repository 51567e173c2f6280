"""Stored models, configurations and endpoints as Describe and List show them.

Bodies of models and configurations are the requests, kept verbatim but for name and tags. The body of an endpoint:
``current`` (the revision that serves), ``next`` (the one on its way, if any), ``revision`` (the last number given),
``deployment_config``, and ``failure_reason`` where something failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sagebrush.inference.model import revisions
from sagebrush.inference.model.revisions import Revision, Variant
from sagebrush.inference.model.states import IN_PROGRESS, Status
from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.resources import Row

_LONGEST_STATUS_MESSAGE = 1024


def describe_model(row: Row, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """DescribeModel's output."""
    return {"EnableNetworkIsolation": False} | dict(row.body) | summarize_model(row)


def summarize_model(row: Row) -> dict[str, Any]:
    """One entry of ListModels."""
    return {"ModelName": row.name, "ModelArn": row.arn, "CreationTime": to_datetime(row.created_us)}


def describe_config(row: Row, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """DescribeEndpointConfig's output."""
    return dict(row.body) | summarize_config(row)


def summarize_config(row: Row) -> dict[str, Any]:
    """One entry of ListEndpointConfigs."""
    return {
        "EndpointConfigName": row.name,
        "EndpointConfigArn": row.arn,
        "CreationTime": to_datetime(row.created_us),
    }


def summarize_endpoint(row: Row) -> dict[str, Any]:
    """One entry of ListEndpoints."""
    return {
        "EndpointName": row.name,
        "EndpointArn": row.arn,
        "EndpointStatus": row.status,
        "CreationTime": to_datetime(row.created_us),
        "LastModifiedTime": to_datetime(row.modified_us),
    }


def describe_endpoint(row: Row, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """DescribeEndpoint's output; what is not there is absent."""
    current, coming = revisions.read(row.body.get("current")), revisions.read(row.body.get("next"))
    shown_revision = current or coming
    assert shown_revision is not None
    shown = summarize_endpoint(row) | {
        "EndpointConfigName": shown_revision.config_name,
        "ProductionVariants": [
            _variant(row, shown_revision, variant, current, coming, history) for variant in shown_revision.variants
        ],
    }
    if shown_revision.capture is not None:
        shown["DataCaptureConfig"] = _capture(shown_revision, row.status)
    if "failure_reason" in row.body:
        shown["FailureReason"] = row.body["failure_reason"]
    if "deployment_config" in row.body:
        shown["LastDeploymentConfig"] = row.body["deployment_config"]
    if coming is not None and row.status in (Status.CREATING, Status.UPDATING):
        shown["PendingDeploymentSummary"] = _pending(coming, history)
    return shown


def metered(row: Row) -> dict[str, Any] | None:
    """What an endpoint uses, idle or not: instances by variant and type, both fleets while one replaces the other."""
    if row.status == Status.FAILED:
        return None
    current, coming = revisions.read(row.body.get("current")), revisions.read(row.body.get("next"))
    counts: dict[tuple[str, str], int] = {}
    for revision in (current, coming):
        for variant in revision.variants if revision else ():
            key = variant.name, variant.instance_type
            together = current is not None and coming is not None and current.number != coming.number
            # Of one fleet that changes its size, the larger one counts.
            counts[key] = counts.get(key, 0) + variant.count if together else max(counts.get(key, 0), variant.count)
    return {"instances": [{"variant": v, "type": kind, "count": count} for (v, kind), count in counts.items()]}


def _variant(
    row: Row,
    revision: Revision,
    variant: Variant,
    current: Revision | None,
    coming: Revision | None,
    history: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """One ProductionVariantSummary. A change of weights and capacities shows in what is desired."""
    desired = variant
    if coming is not None and coming.number == revision.number:
        desired = coming.variant(variant.name)
    serves = current is not None and row.status != Status.FAILED
    shown: dict[str, Any] = {
        "VariantName": variant.name,
        "DeployedImages": [_image(variant, revision)],
        "CurrentWeight": variant.weight if serves else 0.0,
        "DesiredWeight": desired.weight,
        "CurrentInstanceCount": variant.count if serves else 0,
        "DesiredInstanceCount": desired.count,
    }
    if variant.routing is not None:
        shown["RoutingConfig"] = variant.routing
    if row.status in IN_PROGRESS and history:
        status = {"Status": row.status, "StartTime": to_datetime(history[-1]["started_us"])}
        if message := history[-1]["message"]:
            status["StatusMessage"] = message[:_LONGEST_STATUS_MESSAGE]
        shown["VariantStatus"] = [status]
    return shown


def _pending(coming: Revision, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "EndpointConfigName": coming.config_name,
        "ProductionVariants": [
            {
                "VariantName": variant.name,
                "DeployedImages": [_image(variant, coming)],
                "CurrentWeight": 0.0,
                "DesiredWeight": variant.weight,
                "CurrentInstanceCount": 0,
                "DesiredInstanceCount": variant.count,
            }
            for variant in coming.variants
        ],
    }
    if history:
        shown["StartTime"] = to_datetime(history[-1]["started_us"])
    return shown


def _image(variant: Variant, revision: Revision) -> dict[str, Any]:
    image = variant.container["Image"]
    return {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": to_datetime(revision.created_us)}


def _capture(revision: Revision, status: str) -> dict[str, Any]:
    capture = revision.capture
    assert capture is not None
    started = revision.captures and status in (Status.IN_SERVICE, Status.UPDATING)
    return {
        "EnableCapture": revision.captures,
        "CaptureStatus": "Started" if started else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
        # The shape demands it.
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }
