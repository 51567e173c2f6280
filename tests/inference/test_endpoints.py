"""Whole endpoints: real stores, shims and processes, from CreateEndpoint until nothing is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters

from sagebrush.inference import CAPABILITY
from sagebrush.planes.front.invocations import snapshot as read_side
from sagebrush.substrate.resources import check
from tests.inference.requests import BUCKET, capture_config
from tests.inference.running import Running, eventually, replicas, start


def valid(operation: str, output: dict[str, Any]) -> None:
    """The output is one that botocore's shape allows."""
    model = botocore.session.get_session().get_service_model("sagemaker").operation_model(operation)
    validate_parameters(output, model.output_shape)


def test_the_declarations_name_only_what_the_api_has() -> None:
    for resource in CAPABILITY.resources:
        check(resource)


def test_an_endpoint_comes_up_and_goes_and_nothing_is_left(running: Running) -> None:
    described = running.deploy("life", SAGEMAKER_MODEL_SERVER_WORKERS="3")
    assert described["EndpointStatus"] == "InService", described
    assert described["EndpointConfigName"] == "life"
    (variant,) = described["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 1)
    assert "VariantStatus" not in variant
    assert "FailureReason" not in described
    valid("DescribeEndpoint", described)
    assert running.front is not None
    entry = running.front.look()["life"]
    assert (entry["status"], entry["arn"]) == ("InService", described["EndpointArn"])
    (routed,) = entry["variants"][0]["replicas"]
    assert routed["lanes"] == 1
    assert read_side.parse(running.front.snapshot.read_bytes()).endpoints["life"].variants[0].weight == 1.0
    root = running.platform.settings.data_dir
    assert [(root / socket).is_socket() for socket in routed["sockets"]] == [True] * 3
    eventually(lambda: "serving with 3 workers: weights" in running.log("life"), lambda: running.log("life"))
    assert running.log("life")[0] == "[sagebrush] Environment tests: asked for 1.7-1, got 3.2.0."
    running.deleted("life")
    assert running.shims() == []
    assert not list(root.glob("endpoints/*"))
    assert "life" not in running.front.look()
    assert running.call("ListEndpoints") == {"Endpoints": []}


def environment(running: Running) -> dict[str, str]:
    (file,) = running.platform.settings.data_dir.glob("endpoints/*/*/opt/ml/output/environment.json")
    found: dict[str, str] = json.loads(file.read_text())
    return found


def test_a_replica_is_told_what_the_contract_says(running: Running) -> None:
    code = running.put("code/sourcedir.tar.gz", b"code")
    running.deploy("told", SAGEMAKER_PROGRAM="inference.py", SAGEMAKER_SUBMIT_DIRECTORY=code)
    found = environment(running)
    assert found["SAGEBRUSH_LISTEN_FDS"] == "2"
    assert found["SAGEBRUSH_FRAMEWORK"] == "xgboost"
    assert found["SAGEBRUSH_MODEL_ARCHIVE"] == "/opt/ml/input/model.tar.gz"
    assert found["SAGEBRUSH_CODE_ARCHIVE"] == "/opt/ml/input/sourcedir.tar.gz"
    assert found["SAGEBRUSH_MODEL_MAX_BYTES"] == str(30 << 30)
    assert found["AWS_CONTAINER_CREDENTIALS_FULL_URI"].endswith("/_sagebrush/credentials")
    assert found["SAGEMAKER_SUBMIT_DIRECTORY"] == code
    assert found["SAGEMAKER_MODEL_SERVER_TIMEOUT"] == "60"
    assert not {"SAGEMAKER_BASE_DIR", "SAGEBRUSH_RELAY", "SAGEMAKER_BIND_TO_PORT"} & set(found)


@pytest.mark.parametrize("name", ["SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS"])
def test_a_replica_is_told_the_platforms_time_out_unless_the_model_has_one(tmp_path: Path, name: str) -> None:
    running = start(tmp_path / "data", invocation_timeout_seconds=90.5)
    try:
        running.deploy("platforms")
        assert environment(running)["SAGEMAKER_MODEL_SERVER_TIMEOUT"] == "90.5"
        running.deleted("platforms")
        running.deploy("models", **{name: "300"})
        found = environment(running)
        assert {k: v for k, v in found.items() if k.startswith("SAGEMAKER_MODEL_SERVER_TIMEOUT")} == {name: "300"}
        (replica,) = replicas(running)
        assert replica.timeout_seconds == 300.0
    finally:
        running.close()


def test_members_without_effect_are_the_first_lines_of_the_log(running: Running) -> None:
    running.model("m")
    capture = capture_config(f"s3://{BUCKET}/captured", KmsKeyId="key")
    routing = {"RoutingConfig": {"RoutingStrategy": "RANDOM"}, "ModelName": "m"}
    running.config("c", routing, VpcConfig={"Subnets": ["s"], "SecurityGroupIds": ["g"]}, DataCaptureConfig=capture)
    policy = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "alarm"}]}}
    running.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c", DeploymentConfig=policy)
    assert running.settled("e")["EndpointStatus"] == "InService"
    assert running.log("e")[1:5] == [
        f"[sagebrush] {member} is recorded and has no effect here."
        for member in (
            "VpcConfig of the endpoint configuration",
            "RoutingConfig.RoutingStrategy RANDOM of production variant AllTraffic",
            "KmsKeyId of DataCaptureConfig",
            "AutoRollbackConfiguration.Alarms of DeploymentConfig",
        )
    ]


def test_a_model_that_raises_fails_the_endpoint_with_its_text(running: Running) -> None:
    described = running.deploy("raises", TOLD="raise")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint. RuntimeError: not today (inference.py, line 3, in model_fn), exit code: 1"
    )
    valid("DescribeEndpoint", described)
    # Three tries, and then nothing of them is left.
    eventually(lambda: sum("serving with" in line for line in running.log("raises")) == 3)
    eventually(lambda: not running.shims())
    assert running.front is not None
    eventually(lambda: running.front.look()["raises"]["status"] == "Failed")  # type: ignore[union-attr]
    assert running.front.look()["raises"]["variants"] == []
    running.deleted("raises")


@pytest.mark.parametrize("count", [1, 2])
def test_several_variants_and_instances(running: Running, count: int) -> None:
    for name in ("a", "b"):
        running.model(name)
    variants = (
        {"VariantName": "a", "ModelName": "a", "InitialVariantWeight": 3.0, "InitialInstanceCount": count},
        {"VariantName": "b", "ModelName": "b"},
    )
    running.config("both", *variants)
    running.call("CreateEndpoint", EndpointName="both", EndpointConfigName="both")
    assert running.settled("both")["EndpointStatus"] == "InService"
    assert running.front is not None
    routed = {v["name"]: (v["weight"], len(v["replicas"])) for v in running.front.look()["both"]["variants"]}
    assert routed == {"a": (3.0, count), "b": (1.0, 1)}
    assert len(running.shims()) == count + 1
