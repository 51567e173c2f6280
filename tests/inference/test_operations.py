"""The API's answers and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagebrush.substrate.calls import Call, OwnerToken
from sagebrush.substrate.errors import CallerError
from tests.inference.requests import BUCKET, IMAGE, ROLE, capture_config, config_request, model_request
from tests.inference.running import Running, eventually, start
from tests.inference.test_endpoints import valid

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def refused(running: Running, operation: str, **request: Any) -> str:
    with pytest.raises(CallerError) as caught:
        running.call(operation, **request)
    assert caught.value.code == "ValidationException"
    return caught.value.message


@pytest.mark.parametrize(
    ("operation", "member", "text"),
    [
        ("DescribeModel", "ModelName", f'Could not find model "{ARN}:model/nothing".'),
        ("DeleteModel", "ModelName", f'Could not find model "{ARN}:model/nothing".'),
        (
            "DescribeEndpointConfig",
            "EndpointConfigName",
            f'Could not find endpoint configuration "{ARN}:endpoint-config/nothing".',
        ),
        (
            "DeleteEndpointConfig",
            "EndpointConfigName",
            f'Could not find endpoint configuration "{ARN}:endpoint-config/nothing".',
        ),
        ("DescribeEndpoint", "EndpointName", f'Could not find endpoint "{ARN}:endpoint/nothing".'),
        ("DeleteEndpoint", "EndpointName", f'Could not find endpoint "{ARN}:endpoint/nothing".'),
    ],
)
def test_what_is_not_there_is_told_in_sagemakers_words(
    running: Running, operation: str, member: str, text: str
) -> None:
    assert refused(running, operation, **{member: "nothing"}) == text


def test_names_that_are_taken_are_told_with_the_arn(running: Running) -> None:
    running.create("once", TOLD="deaf")
    assert refused(running, "CreateModel", **model_request("once")) == (
        f'Cannot create already existing model "{ARN}:model/once".'
    )
    assert refused(running, "CreateEndpointConfig", **config_request("once")) == (
        f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/once".'
    )
    assert refused(running, "CreateEndpoint", EndpointName="once", EndpointConfigName="once") == (
        f'Cannot create already existing endpoint "{ARN}:endpoint/once".'
    )


def test_nothing_is_asked_of_an_endpoint_on_its_way(running: Running) -> None:
    running.create("busy", TOLD="deaf")
    told = f'Cannot update in-progress endpoint "{ARN}:endpoint/busy".'
    assert refused(running, "UpdateEndpoint", EndpointName="busy", EndpointConfigName="busy") == told
    assert refused(running, "DeleteEndpoint", EndpointName="busy") == told
    desired = [{"VariantName": "AllTraffic", "DesiredWeight": 2.0}]
    assert (
        refused(
            running,
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="busy",
            DesiredWeightsAndCapacities=desired,
        )
        == told
    )
    described = running.describe("busy")
    assert described["EndpointStatus"] == "Creating"
    (variant,) = described["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (0, 1)
    assert variant["VariantStatus"][0]["Status"] == "Creating"
    valid("DescribeEndpoint", described)


def test_a_failed_endpoint_can_only_be_deleted(running: Running) -> None:
    running.deploy("failed", TOLD="raise")
    assert "DeleteEndpoint is the only operation" in refused(
        running, "UpdateEndpoint", EndpointName="failed", EndpointConfigName="failed"
    )
    running.deleted("failed")


def test_models_that_cannot_be_are_refused(running: Running) -> None:
    def create(**changes: Any) -> str:
        return refused(running, "CreateModel", **(model_request("m") | changes))

    missing = f"s3://{BUCKET}/nothing/model.tar.gz"
    assert create(**model_request("m", missing)) == f"Could not find model data at {missing}."
    nowhere = "s3://no-such-bucket-anywhere/model.tar.gz"
    assert create(**model_request("m", nowhere)) == f"Could not find model data at {nowhere}."
    assert "Cannot find the image unknown:1" in create(**model_request("m", Image="unknown:1"))
    nobody = ROLE.replace("SageMakerRole", "Nobody")
    assert create(ExecutionRoleArn=nobody).startswith(f"Could not assume role {nobody}.")
    assert "exactly one of PrimaryContainer and Containers" in create(Containers=[{"Image": IMAGE}])
    assert running.call("ListModels") == {"Models": []}


def test_data_that_the_role_may_not_read_are_refused(running: Running) -> None:
    uri = running.put("secret/model.tar.gz", b"weights")
    running.guard.denied.add(("s3:GetObject", f"arn:aws:s3:::{BUCKET}/secret/"))
    told = refused(running, "CreateModel", **model_request("m", uri))
    assert told.startswith(f'Could not access model data at {uri}. Please ensure that the role "{ROLE}" exists')


def test_a_model_may_be_an_object_or_a_prefix_of_its_own(running: Running) -> None:
    running.put("plain/config.json", b"{}")
    running.put("plain/deep/weights", b"1")
    source = {"S3Uri": f"s3://{BUCKET}/plain/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    running.call("CreateModel", **model_request("prefix", ModelDataSource={"S3DataSource": source}))
    one = {"S3Uri": f"s3://{BUCKET}/plain/config.json", "S3DataType": "S3Object", "CompressionType": "None"}
    running.call("CreateModel", **model_request("object", ModelDataSource={"S3DataSource": one}))
    for name, files in (("prefix", ["model/config.json", "model/deep/weights"]), ("object", ["model/config.json"])):
        running.config(name, {"ModelName": name})
        running.call("CreateEndpoint", EndpointName=name, EndpointConfigName=name)
        assert running.settled(name)["EndpointStatus"] == "InService"
        eventually(lambda n=name, f=files: f"files: {[*f, 'output/environment.json']}" in running.log(n))  # type: ignore[misc]
    wrong = source | {"S3Uri": f"s3://{BUCKET}/empty/"}
    told = refused(running, "CreateModel", **model_request("no", ModelDataSource={"S3DataSource": wrong}))
    assert told == f"Could not find model data at s3://{BUCKET}/empty/."
    stale = one | {"ETag": "0" * 32}
    told = refused(running, "CreateModel", **model_request("no", ModelDataSource={"S3DataSource": stale}))
    assert "The ETag of the model data" in told


def test_describe_echoes_the_request(running: Running) -> None:
    uri = running.put("m/model.tar.gz", b"weights")
    request = model_request("m", uri, {"A": "b"}, ContainerHostname="host") | {
        "Tags": [{"Key": "team", "Value": "tests"}],
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    }
    arn = running.call("CreateModel", **request)["ModelArn"]
    model = running.call("DescribeModel", ModelName="m")
    for member in set(request) - {"Tags"}:
        assert model[member] == request[member]
    assert (model["ModelArn"], model["EnableNetworkIsolation"]) == (arn, False)
    assert "Tags" not in model
    valid("DescribeModel", model)
    config = config_request(
        "c",
        {"ModelName": "m", "InitialVariantWeight": 2.0, "ContainerStartupHealthCheckTimeoutInSeconds": 90},
        DataCaptureConfig=capture_config(f"s3://{BUCKET}/captured", KmsKeyId="key"),
        KmsKeyId="key",
    )
    running.call("CreateEndpointConfig", **config)
    described = running.call("DescribeEndpointConfig", EndpointConfigName="c")
    for member in config:
        assert described[member] == config[member]
    valid("DescribeEndpointConfig", described)


def test_lists_filter_sort_and_page(running: Running) -> None:
    for name in ("b-good", "a-good", "c-bad"):
        running.model(name, None)
        running.config(name)
    for operation, member, key in (
        ("ListModels", "Models", "ModelName"),
        ("ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName"),
    ):

        def names(operation: str = operation, member: str = member, key: str = key, **request: Any) -> list[str]:
            output = running.call(operation, **request)
            valid(operation, output)
            return [summary[key] for summary in output[member]]

        assert names() == ["c-bad", "a-good", "b-good"]
        assert names(SortBy="Name", SortOrder="Ascending") == ["a-good", "b-good", "c-bad"]
        assert sorted(names(NameContains="good")) == ["a-good", "b-good"]
        first = running.call(operation, MaxResults=2)
        rest = running.call(operation, MaxResults=2, NextToken=first["NextToken"])
        assert ([e[key] for e in rest[member]], "NextToken" in rest) == (["b-good"], False)
    running.call("CreateEndpoint", EndpointName="one", EndpointConfigName="a-good")
    running.settled("one")
    output = running.call("ListEndpoints", StatusEquals="InService")
    valid("ListEndpoints", output)
    assert [e["EndpointName"] for e in output["Endpoints"]] == ["one"]
    assert running.call("ListEndpoints", StatusEquals="Failed") == {"Endpoints": []}


def test_a_configuration_of_unknown_models_or_types_is_refused(running: Running) -> None:
    assert refused(running, "CreateEndpointConfig", **config_request("c", {"ModelName": "no"})) == (
        f'Could not find model "{ARN}:model/no".'
    )
    assert "ml.made-up.large" in refused(
        running, "CreateEndpointConfig", **config_request("c", {"InstanceType": "ml.made-up.large"})
    )
    running.model("m", None)
    running.config("c", {"ModelName": "m"})
    running.call("DeleteModel", ModelName="m")
    told = refused(running, "CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    assert told == f'Could not find model "{ARN}:model/m".'
    told = refused(running, "CreateEndpoint", EndpointName="e", EndpointConfigName="no")
    assert told == f'Could not find endpoint configuration "{ARN}:endpoint-config/no".'


def test_weights_of_unknown_variants_are_refused(running: Running) -> None:
    running.deploy("e")

    def resize(**desired: Any) -> str:
        wanted = [{"VariantName": "AllTraffic"} | desired]
        return refused(
            running, "UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=wanted
        )

    assert 'Could not find variant "nobody"' in resize(VariantName="nobody")
    assert "must be between 1 and 100" in resize(DesiredInstanceCount=0)


def test_strict_capacity_refuses_what_is_bigger_than_the_host(tmp_path: Path) -> None:
    running = start(tmp_path / "data", instances="strict", capacity_cpus=2.0, capacity_memory_gib=8.0)
    try:
        running.model("m", None)
        with pytest.raises(CallerError, match="this host offers 2 vCPU") as caught:
            running.config("c", {"ModelName": "m", "InstanceType": "ml.m5.24xlarge"})
        assert caught.value.code == "ResourceLimitExceeded"
        # Endpoints reserve nothing: their number is not held against the host.
        running.config("c", {"ModelName": "m", "InitialInstanceCount": 5})
    finally:
        running.close()


def test_roles_must_be_passed_on_purpose(running: Running) -> None:
    """ExecutionRoleArn hands a role over as RoleArn does."""
    identity, settings = running.guard, running.platform.settings
    running.guard.denied.add(("iam:PassRole", ROLE))
    principal = identity.open_principal()
    call = Call(running.platform, "sagemaker", "CreateModel", principal, settings.account, settings.region, "request")
    with pytest.raises(CallerError, match="may not iam:PassRole"):
        running.platform.calls.dispatch(call, model_request("m"))


def test_a_repeated_call_of_an_owner_gets_the_first_answer_whatever_has_changed_since(running: Running) -> None:
    platform, settings = running.platform, running.platform.settings
    principal = running.guard.open_principal()
    owner = OwnerToken("arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/1", "Model", 1)

    def ask(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        call = Call(
            platform, "sagemaker", operation, principal, settings.account, settings.region, "request", owner=owner
        )
        return platform.calls.dispatch(call, request)

    uri = running.put("m/model.tar.gz", b"weights")
    first = ask("CreateModel", model_request("m", uri))
    config = ask("CreateEndpointConfig", config_request("m"))
    endpoint = ask("CreateEndpoint", {"EndpointName": "m", "EndpointConfigName": "m"})
    running.settled("m")
    running.deleted("m")
    running.call("DeleteEndpointConfig", EndpointConfigName="m")
    running.call("DeleteModel", ModelName="m")
    running.platform.objects.delete(BUCKET, "m/model.tar.gz")
    assert ask("CreateModel", model_request("m", uri)) == first
    assert ask("CreateEndpointConfig", config_request("m")) == config
    assert ask("CreateEndpoint", {"EndpointName": "m", "EndpointConfigName": "m"}) == endpoint
    assert running.call("ListEndpoints") == {"Endpoints": []}
