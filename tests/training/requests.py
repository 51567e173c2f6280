"""Requests that the tests of this capability start from."""

from __future__ import annotations

from typing import Any

from tests.programs import container_command

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
BUCKET = "training-tests"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


def job_request(name: str, program: str | None = None, **changes: Any) -> dict[str, Any]:
    """A CreateTrainingJob request; ``program`` runs in place of the image's algorithm."""
    algorithm: dict[str, Any] = {"TrainingImage": IMAGE, "TrainingInputMode": "File"}
    if program is not None:
        algorithm |= container_command(program)
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": algorithm,
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return request | changes


def channel(uri: str, name: str = "train", **source: Any) -> dict[str, Any]:
    """One entry of InputDataConfig."""
    s3 = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"} | source
    return {"ChannelName": name, "DataSource": {"S3DataSource": s3}}
