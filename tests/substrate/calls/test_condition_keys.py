"""What policies can ask about a request: every key from the member that AWS's reference names, and nowhere else."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from sagebrush.substrate.calls import condition_keys
from sagebrush.substrate.calls.authorizing import ROLE_MEMBERS, passed_roles
from sagebrush.substrate.calls.request_members import FREE_MAPS, members
from tests.substrate.calls.shapes import paths_of, request_with

MODEL = botocore.session.get_session().get_service_model("sagemaker")
ACCOUNT, REGION = "123456789012", "us-east-1"


INPUTS = [MODEL.operation_model(name).input_shape for name in MODEL.operation_names]
PATHS = [found for shape in INPUTS if shape is not None for found in paths_of(shape)]


def sagemaker(**request: Any) -> dict[str, Any]:
    return condition_keys.of_sagemaker(request, account=ACCOUNT, region=REGION)


@pytest.mark.parametrize("key", condition_keys.SAGEMAKER_KEYS)
def test_every_path_of_a_key_is_one_of_the_api(key: str) -> None:
    known = {path for path, _ in PATHS}
    for written in condition_keys.SAGEMAKER_KEYS[key]:
        suffix = tuple(written.removeprefix("/").split("."))
        assert any(path == suffix if written.startswith("/") else path[-len(suffix) :] == suffix for path in known), (
            written
        )


def test_every_member_of_free_keys_is_known_as_one() -> None:
    """Otherwise a hyperparameter could pose as a member of the API."""
    assert {path[-1] for path, shape in PATHS if shape.type_name == "map"} - {"*"} <= FREE_MAPS


def test_every_role_that_any_operation_takes_is_passed() -> None:
    named = {path[-1] for path, shape in PATHS if shape.name == "RoleArn"}
    assert named == ROLE_MEMBERS
    # The names mean nothing else anywhere, so nobody is asked for PassRole on what is no role.
    assert {shape.name for path, shape in PATHS if path[-1] in ROLE_MEMBERS} == {"RoleArn"}


def test_a_role_is_found_wherever_it_lies() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/Worker"
    asked = 0
    for shape in INPUTS:
        for path, member in paths_of(shape) if shape is not None else ():
            if member.name == "RoleArn":
                asked += 1
                assert passed_roles(request_with(path, arn, shape)) == [arn], (shape.name, path)
    assert asked > 40


def test_a_training_jobs_keys() -> None:
    assert sagemaker(
        TrainingJobName="x",
        HyperParameters={"InstanceType": "ml.evil", "EnableNetworkIsolation": "true"},
        Environment={"VolumeKmsKeyId": "evil"},
        ResourceConfig={
            "VolumeKmsKeyId": "key-1",
            "KeepAlivePeriodInSeconds": 600,
            "InstanceGroups": [{"InstanceType": "ml.a"}, {"InstanceType": "ml.b"}, {"InstanceType": "ml.a"}],
        },
        OutputDataConfig={"S3OutputPath": "s3://b/p", "KmsKeyId": "key-2"},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        VpcConfig={"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
        EnableNetworkIsolation=True,
        EnableInterContainerTrafficEncryption=False,
        RemoteDebugConfig={"EnableRemoteDebug": True},
        InputDataConfig=[
            {
                "DataSource": {
                    "FileSystemDataSource": {
                        "FileSystemId": "fs-1",
                        "FileSystemType": "EFS",
                        "FileSystemAccessMode": "ro",
                        "DirectoryPath": "/d",
                    }
                }
            }
        ],
    ) == {
        "sagemaker:VolumeKmsKey": ("key-1",),
        "sagemaker:KeepAlivePeriod": ("600",),
        "sagemaker:InstanceTypes": ("ml.a", "ml.b"),
        "sagemaker:OutputKmsKey": ("key-2",),
        "sagemaker:MaxRuntimeInSeconds": ("60",),
        "sagemaker:VpcSubnets": ("subnet-1", "subnet-2"),
        "sagemaker:VpcSecurityGroupIds": ("sg-1",),
        "sagemaker:NetworkIsolation": ("true",),
        "sagemaker:InterContainerTrafficEncryption": ("false",),
        "sagemaker:EnableRemoteDebug": ("true",),
        "sagemaker:FileSystemId": ("fs-1",),
        "sagemaker:FileSystemType": ("EFS",),
        "sagemaker:FileSystemAccessMode": ("ro",),
        "sagemaker:FileSystemDirectoryPath": ("/d",),
    }


def test_an_endpoint_configurations_keys() -> None:
    assert sagemaker(
        KmsKeyId="key-1",
        ProductionVariants=[
            {"VariantName": "a", "ModelName": "One", "InstanceType": "ml.a"},
            {"VariantName": "b", "ModelName": "two", "ServerlessConfig": {"MaxConcurrency": 5, "MemorySizeInMB": 1024}},
        ],
    ) == {
        "sagemaker:VolumeKmsKey": ("key-1",),
        "sagemaker:InstanceTypes": ("ml.a",),
        "sagemaker:ServerlessMaxConcurrency": ("5",),
        "sagemaker:ServerlessMemorySize": ("1024",),
        "sagemaker:ModelArn": tuple(f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/{name}" for name in ("one", "two")),
    }


def test_a_key_of_another_place_is_not_the_volumes() -> None:
    assert sagemaker(DataCaptureConfig={"KmsKeyId": "capture"}) == {}


def test_tags_of_a_request_and_the_keys_it_names() -> None:
    assert condition_keys.of_tags({"Tags": [{"Key": "Team", "Value": "a"}, {"Key": "Cost", "Value": ""}]}) == {
        "aws:RequestTag/Team": "a",
        "aws:RequestTag/Cost": "",
        "aws:TagKeys": ["Team", "Cost"],
    }
    assert condition_keys.of_tags({"tags": {"Team": "a"}})["aws:RequestTag/Team"] == "a"
    assert condition_keys.of_tags({"TagKeys": ["Team"]}) == {"aws:TagKeys": ["Team"]}
    assert condition_keys.of_tags({}) == {}


def test_metadata_is_a_key_per_property() -> None:
    assert sagemaker(CustomerMetadataProperties={"stage": "qa"}) == {"sagemaker:CustomerMetadataProperties/stage": "qa"}


def test_members_come_with_the_path_and_lists_do_not_count() -> None:
    assert list(members({"a": [{"b": 1}, {"b": [2, 3]}], "c": None, "Environment": {"x": "y"}})) == [
        (("a", "b"), 1),
        (("a", "b"), 2),
        (("a", "b"), 3),
    ]
