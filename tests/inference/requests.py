"""Requests that the tests of this capability start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
BUCKET = "inference-tests"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


def model_request(
    name: str, uri: str | None = None, environment: Mapping[str, str] | None = None, **changes: Any
) -> dict[str, Any]:
    """A CreateModel request; ``changes`` are members of its container."""
    container: dict[str, Any] = {"Image": IMAGE}
    if uri is not None:
        container["ModelDataUrl"] = uri
    if environment:
        container["Environment"] = dict(environment)
    return {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": container | changes}


def config_request(name: str, *variants: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A CreateEndpointConfig request; each variant says what differs from the defaults."""
    defaults = {"VariantName": "AllTraffic", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    full = [defaults | {"ModelName": name} | dict(variant) for variant in variants or ({},)]
    return {"EndpointConfigName": name, "ProductionVariants": full, **more}


def capture_config(uri: str, **changes: Any) -> dict[str, Any]:
    """A DataCaptureConfig that captures everything."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
    } | changes
