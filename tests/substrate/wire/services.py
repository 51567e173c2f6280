"""The services that the platform serves, and one strict engine for all of them (models load once per test process)."""

from __future__ import annotations

import functools

from sagebrush.substrate.wire.engine import Engine

SERVED = (
    "sagemaker",
    "sagemaker-runtime",
    "sagemaker-featurestore-runtime",
    "sagemaker-metrics",
    "sagemaker-a2i-runtime",
    "s3",
    "sts",
    "iam",
    "logs",
    "cloudwatch",
    "events",
    "scheduler",
    "lambda",
    "sqs",
    "ecr",
    "athena",
    "application-autoscaling",
)


@functools.cache
def engine() -> Engine:
    """All served services, strict: a result that is no legal output is a Fault."""
    return Engine(SERVED, strict=True)
