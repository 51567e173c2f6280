"""Every operation of a whole platform, called nearly as it should be: refused as AWS refuses or done, never a Fault."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from sagebrush.server.capabilities import registry
from sagebrush.substrate.calls import Registry
from tests.fuzz.near_misses import NearMisses
from tests.journeys.running import ROLE, RunningPlatform, discard, start_platform, training_job_request

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

#: Inputs of each operation.
TRIES = 12
BUCKET = "near-misses"


@pytest.fixture(scope="module")
def platform() -> Iterator[RunningPlatform]:
    running = start_platform()
    yield running
    discard(running)


@pytest.fixture(scope="module")
def known(platform: RunningPlatform) -> list[str]:
    """Names and ARNs of what is there, so that operations find something."""
    platform.client("s3").create_bucket(Bucket=BUCKET)
    platform.client("s3").put_object(Bucket=BUCKET, Key="there/ä", Body=b"0123456789")
    sagemaker = platform.client("sagemaker")
    request = training_job_request("there", "print(1)")
    arns = [sagemaker.create_training_job(**request)["TrainingJobArn"]]
    image = request["AlgorithmSpecification"]["TrainingImage"]
    model = {"ModelName": "there", "PrimaryContainer": {"Image": image}, "ExecutionRoleArn": ROLE}
    arns.append(sagemaker.create_model(**model)["ModelArn"])
    source = {"SourceUri": "s3://near-misses/there"}
    arns.append(sagemaker.create_artifact(ArtifactName="there", Source=source, ArtifactType="DataSet")["ArtifactArn"])
    platform.client("iam").create_user(UserName="there")
    platform.client("logs").create_log_group(logGroupName="there")
    return ["there", "there/ä", BUCKET, ROLE, "SageMakerRole", f"s3://{BUCKET}/there", *arns]


def _told(client: Any, operation: str, request: dict[str, Any]) -> str:
    """The error code, ``answered``, or why botocore itself could not send it."""
    try:
        getattr(client, xform_name(operation))(**request)
    except ClientError as error:
        status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], str(error.response["Error"]["Code"])
        if (status >= 500 and status != 501) or "Traceback" in str(error):
            raise AssertionError(f"{operation}({request}): {error.response}") from error
        return code
    except (ConnectionError, HTTPClientError) as error:
        raise AssertionError(f"{operation}({request}): {error!r}") from error
    except (BotoCoreError, ValueError, TypeError, AttributeError, KeyError):
        return "not sent"
    return "answered"


def _tracebacks(platform: RunningPlatform) -> list[str]:
    logs = sorted((platform.data_dir / "logs").glob("*.log"))
    return [f"{log.name}: {found}" for log in logs for found in re.findall(r"Traceback[\s\S]{0,3000}", log.read_text())]


def _operations(registry: Registry) -> dict[str, list[str]]:
    served: dict[str, list[str]] = {}
    for service, operation in sorted(registry.served()):
        served.setdefault(service, []).append(operation)
    return served


@pytest.mark.parametrize("service", sorted(_operations(registry())))
def test_operations_of_the_control_plane(platform: RunningPlatform, known: list[str], service: str) -> None:
    client = platform.client(service, parameter_validation=False, read_timeout=60)
    told: Counter[str] = Counter()
    for operation in _operations(registry())[service]:
        shape = client.meta.service_model.operation_model(operation).input_shape
        near = NearMisses(seed=len(operation), known=known)
        for _ in range(TRIES if shape is not None else 1):
            told[_told(client, operation, near.input(shape) if shape is not None else {})] += 1
    assert _tracebacks(platform) == []
    # The requests were near enough: neither all refused as malformed, nor did botocore keep them to itself.
    assert told["answered"] > 0, told
    assert told["not sent"] < told.total() / 4, told


def test_operations_of_s3(platform: RunningPlatform, known: list[str]) -> None:
    client = platform.client("s3", parameter_validation=False, read_timeout=60)
    told: Counter[str] = Counter()
    for operation in client.meta.service_model.operation_names:
        if operation == "WriteGetObjectResponse":
            continue  # Sent to a host of its own, which is not here.
        shape = client.meta.service_model.operation_model(operation).input_shape
        near = NearMisses(seed=len(operation), known=known)
        for _ in range(TRIES):
            request = near.input(shape) if shape is not None else {}
            # A length that the body does not have: such a client is waited for.
            request.pop("ContentLength", None)
            if "Bucket" in request:
                request["Bucket"] = BUCKET
            told[_told(client, operation, request)] += 1
            client.create_bucket(Bucket=BUCKET)
    assert _tracebacks(platform) == []
    assert told["answered"] > 100, told
