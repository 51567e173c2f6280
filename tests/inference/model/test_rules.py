"""Containers, refusals, revisions, crashes, routes, and what is metered: the rules alone."""

from __future__ import annotations

from typing import Any

import pytest

from sagebrush.inference.model import containers, crashes, description, ignored, revisions, routing
from sagebrush.inference.model.requests import config_problems, model_problems
from sagebrush.inference.model.revisions import Revision, Variant
from sagebrush.substrate.resources import Row
from tests.inference.requests import BUCKET, IMAGE, ROLE, capture_config, config_request, model_request


@pytest.mark.parametrize(
    ("program", "own"), [("inference.py", False), ("serve", True), ("bin/server.sh", True), ("", False), (None, False)]
)
def test_an_own_server_is_any_program_but_a_module_of_handlers(program: str | None, own: bool) -> None:
    container = {"Image": IMAGE, "Environment": {} if program is None else {"SAGEMAKER_PROGRAM": program}}
    assert containers.has_own_server(container) is own


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({}, 3),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "7"}, 7),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "many"}, 3),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "0"}, 1),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "1000000"}, containers.MOST_WORKERS),
        ({"SAGEMAKER_PROGRAM": "serve", "SAGEMAKER_MODEL_SERVER_WORKERS": "7"}, 1),
    ],
)
def test_workers_are_as_many_as_asked_for_or_as_there_are_processors(environment: dict[str, str], count: int) -> None:
    assert containers.workers({"Image": IMAGE, "Environment": environment}, 3.5) == count


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"PrimaryContainer": {"Image": IMAGE}, "Containers": [{"Image": IMAGE}]}, "exactly one of"),
        ({"PrimaryContainer": None}, "exactly one of"),
        ({"PrimaryContainer": None, "Containers": [{"Image": IMAGE}] * 2}, "Containers: Sagebrush does not support"),
        ({"PrimaryContainer": {"Image": IMAGE, "Mode": "MultiModel"}}, "Mode 'MultiModel'"),
        ({"PrimaryContainer": {"ModelPackageName": "p"}}, "PrimaryContainer.ModelPackageName"),
        ({"PrimaryContainer": {}}, "exactly one of"),
        ({"PrimaryContainer": {"ContainerHostname": "h"}}, "Image is required"),
        ({"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://"}}, "not a valid S3 URI: s3://"),
        ({"PrimaryContainer": {"Image": IMAGE, "Environment": {"A": "\0"}}}, "Environment variable 'A'"),
        ({"ExecutionRoleArn": None}, "ExecutionRoleArn is required"),
    ],
)
def test_what_a_model_cannot_have_is_named(changes: dict[str, Any], told: str) -> None:
    assert model_problems(model_request("m")) == []
    assert told in " ".join(model_problems(model_request("m") | changes))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"S3Uri": f"s3://{BUCKET}/a/", "S3DataType": "S3Prefix", "CompressionType": "Gzip"}, "CompressionType 'Gzip'"),
        ({"S3Uri": f"s3://{BUCKET}/a", "S3DataType": "S3Prefix", "CompressionType": "None"}, "must end with a slash"),
        ({"S3Uri": f"s3://{BUCKET}/a/", "S3DataType": "S3Object", "CompressionType": "None"}, "must name an object"),
        (
            {
                "S3Uri": f"s3://{BUCKET}/a",
                "S3DataType": "S3Object",
                "CompressionType": "None",
                "ManifestS3Uri": "s3://b/m",
            },
            "ManifestS3Uri",
        ),
    ],
)
def test_what_a_source_of_model_data_cannot_be_is_named(source: dict[str, str], told: str) -> None:
    request = model_request("m", ModelDataSource={"S3DataSource": source})
    assert told in " ".join(model_problems(request))


@pytest.mark.parametrize(
    ("variant", "more", "told"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}, {}, "ServerlessConfig"),
        ({"ModelName": None}, {}, "ModelName is required"),
        ({"InstanceType": None}, {}, "InstanceType is required"),
        ({"InitialInstanceCount": 101}, {}, "at most 100"),
        ({}, {"AsyncInferenceConfig": {"OutputConfig": {}}}, "AsyncInferenceConfig"),
        ({}, {"ShadowProductionVariants": [{}]}, "ShadowProductionVariants"),
        ({}, {"DataCaptureConfig": capture_config("s3://")}, "DataCaptureConfig.DestinationS3Uri"),
    ],
)
def test_what_a_configuration_cannot_have_is_named(variant: dict[str, Any], more: dict[str, Any], told: str) -> None:
    assert config_problems(config_request("c")) == []
    assert told in " ".join(config_problems(config_request("c", variant, **more)))


def test_variants_have_names_of_their_own() -> None:
    assert "Variant names must be unique" in " ".join(config_problems(config_request("c", {}, {})))


def revision(number: int = 1, *counts: int, **more: Any) -> Revision:
    variants = tuple(
        Variant(f"v{i}", "m", ROLE, {"Image": IMAGE}, "ml.m5.large", count, 1.0, ignored=("VpcConfig",))
        for i, count in enumerate(counts)
    )
    return Revision(number, "c", 1, variants, **more)


def test_a_revision_is_read_as_it_was_kept() -> None:
    first = revision(3, 1, 2, capture=capture_config("s3://bucket/x"))
    assert revisions.read(first.document()) == first
    assert revisions.read(None) is None
    assert list(first.slots) == [("v0", 1), ("v1", 1), ("v1", 2)]


def test_ends_count_in_a_row_and_pauses_double() -> None:
    assert crashes.ends_after(2, None, 100) == 3
    assert crashes.ends_after(2, 100, 100 + crashes.SETTLED_US - 1) == 3
    assert crashes.ends_after(2, 100, 100 + crashes.SETTLED_US) == 0
    assert [crashes.pause_us(n) / 1e6 for n in (0, 1, 2, 3, 7, 100)] == [0.5, 0.5, 1.0, 2.0, 30.0, 30.0]


def test_a_start_has_come_to_nothing_unless_it_served_or_was_asked_something() -> None:
    assert crashes.failures_after(2, None, 100, asked=False) == 3
    assert crashes.failures_after(2, None, 100, asked=True) == 3
    assert crashes.failures_after(2, 100, 100 + crashes.MOMENT_US - 1, asked=False) == 3
    assert crashes.failures_after(2, 100, 100 + crashes.MOMENT_US - 1, asked=True) == 0
    assert crashes.failures_after(2, 100, 100 + crashes.MOMENT_US, asked=False) == 0


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 60.0),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "4"}, 4.0),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "4", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "300.5"}, 300.5),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "soon"}, 60.0),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "inf"}, 60.0),
    ],
)
def test_a_request_may_take_what_the_models_variables_say(environment: dict[str, str], seconds: float) -> None:
    assert containers.timeout_seconds({"Image": IMAGE, "Environment": environment}, 60.0) == seconds


def test_members_that_change_nothing_are_named() -> None:
    model = model_request("m", ImageConfig={"RepositoryAccessMode": "Vpc"}) | {"VpcConfig": {"Subnets": ["s"]}}
    routing = {"RoutingConfig": {"RoutingStrategy": "RANDOM"}, "VolumeSizeInGB": 30}
    config = config_request("c", routing, KmsKeyId="key", MetricsConfig={"MetricPublishFrequencyInSeconds": 10})
    assert ignored.of_variant(config, config["ProductionVariants"][0], model) == [
        "KmsKeyId of the endpoint configuration",
        "MetricsConfig.MetricPublishFrequencyInSeconds of the endpoint configuration",
        "RoutingConfig.RoutingStrategy RANDOM of production variant AllTraffic",
        "VpcConfig of the model",
        "ImageConfig of the model's container",
    ]
    plain = config_request("c", {"RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}})
    assert ignored.of_variant(plain, plain["ProductionVariants"][0], model_request("m")) == []
    unread = model_request("m", environment={containers.WORKERS: "many", containers.PORT: "9000"})
    assert ignored.of_variant(plain, plain["ProductionVariants"][0], unread) == [
        "SAGEMAKER_MODEL_SERVER_WORKERS=many (not a number)"
    ]
    assert ignored.of_capture(None) == []
    assert ignored.of_capture(capture_config("s3://b/x", KmsKeyId="key")) == ["KmsKeyId of DataCaptureConfig"]


def test_what_an_update_was_to_be_like_is_named_unless_it_is_like_that() -> None:
    at_once = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    assert ignored.of_deployment(None) == []
    assert ignored.of_deployment({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": at_once}}) == []
    canary = at_once | {"Type": "CANARY", "WaitIntervalInSeconds": 60}
    policy = {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": canary},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]},
    }
    assert ignored.of_deployment(policy) == [
        "TrafficRoutingConfiguration.Type CANARY of DeploymentConfig",
        "BlueGreenUpdatePolicy.TrafficRoutingConfiguration.WaitIntervalInSeconds of DeploymentConfig",
        "AutoRollbackConfiguration.Alarms of DeploymentConfig",
    ]


def row(status: str, **body: Any) -> Row:
    return Row("id", "1", "r", "endpoint", "e", "arn", status, 0, 0, 1, 0, body)


def test_both_fleets_are_metered_while_one_replaces_the_other() -> None:
    def counted(status: str, current: Revision | None, coming: Revision | None) -> list[int]:
        documents = {"current": current and current.document(), "next": coming and coming.document()}
        found = description.metered(row(status, **documents))
        return [] if found is None else [instances["count"] for instances in found["instances"]]

    assert counted("Creating", None, revision(1, 2)) == [2]
    assert counted("InService", revision(1, 2), None) == [2]
    assert counted("Updating", revision(1, 2), revision(2, 3)) == [5]
    assert counted("Updating", revision(1, 2), revision(1, 3)) == [3]
    assert counted("Deleting", revision(1, 2), None) == [2]
    assert counted("Failed", revision(1, 2), None) == []


def test_the_front_door_is_told_what_the_contract_says() -> None:
    own = Variant("own", "m", ROLE, {"Image": IMAGE, "Environment": {"SAGEMAKER_PROGRAM": "serve"}}, "t", 1, 2.0)
    capture = capture_config("s3://bucket/x", CaptureOptions=[{"CaptureMode": "InputAndOutput"}])
    serving = [routing.Serving("own", "r1", ("endpoints/e/r1/s0",))]
    entry = routing.entry(
        endpoint_id="e",
        arn="arn",
        status="InService",
        revision=Revision(1, "c", 1, (own, *revision(1, 1).variants), capture),
        serving=serving,
        timeout_seconds=60.0,
    )
    assert entry == {
        "id": "e",
        "arn": "arn",
        "status": "InService",
        "spool": "endpoints/e/spool",
        "capture": {
            "percentage": 100,
            "modes": ["Input", "Output"],
            "csv_content_types": ["text/csv"],
            "json_content_types": ["application/json"],
        },
        "variants": [
            {
                "name": "own",
                "weight": 2.0,
                "timeout_seconds": 60.0,
                "replicas": [{"id": "r1", "sockets": ["endpoints/e/r1/s0"], "lanes": 64}],
            },
            {"name": "v0", "weight": 1.0, "timeout_seconds": 60.0, "replicas": []},
        ],
    }
