from __future__ import annotations

from typing import Any

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import TAG_OPERATIONS, plain_operations
from tests.substrate.declared import ACCOUNT, JOB, MODEL, call_on

OPERATIONS = plain_operations(MODEL)


def run(platform: Platform, operation: str, **request: Any) -> dict[str, Any]:
    return OPERATIONS[operation](call_on(platform, operation), request)


def test_the_verbs_are_those_of_the_declaration() -> None:
    assert set(OPERATIONS) == {"CreateModel", "DescribeModel", "DeleteModel", "ListModels"}
    assert set(plain_operations(JOB)) >= {"DescribeTrainingJob", "ListTrainingJobs"}


def test_describe_echoes_create_and_tags_go_their_own_way(platform: Platform) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/m"
    container = {"Image": "i", "Environment": {"A": "1"}}
    tags = [{"Key": "a", "Value": "b"}]
    created = run(platform, "CreateModel", ModelName="m", PrimaryContainer=container, Tags=tags)
    assert created == {"ModelArn": arn}
    assert run(platform, "DescribeModel", ModelName="m") == {
        "ModelName": "m",
        "ModelArn": arn,
        "PrimaryContainer": container,
    }
    call = call_on(platform, "ListTags")
    assert TAG_OPERATIONS["ListTags"](call, {"ResourceArn": arn}) == {"Tags": tags}
    assert [model["ModelName"] for model in run(platform, "ListModels")["Models"]] == ["m"]


def test_a_deleted_resource_is_gone_for_every_verb(platform: Platform) -> None:
    run(platform, "CreateModel", ModelName="m")
    assert run(platform, "DeleteModel", ModelName="m") == {}
    for operation in ("DescribeModel", "DeleteModel"):
        with pytest.raises(CallerError, match="Could not find"):
            run(platform, operation, ModelName="m")
    assert run(platform, "ListModels") == {"Models": []}


def test_creating_twice_says_what_the_sdk_looks_for(platform: Platform) -> None:
    run(platform, "CreateModel", ModelName="m")
    with pytest.raises(CallerError) as caught:
        run(platform, "CreateModel", ModelName="m")
    assert "already existing" in caught.value.message
