"""Every operation is asked for in one place: its action, the roles it hands over, the tags it brings along."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from sagebrush.server.capabilities import registry
from sagebrush.substrate.calls import Call
from sagebrush.substrate.calls.authorizing import authorize
from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Identity, Principal, ensure_seed
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import insert
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import STATE, Store, open_store
from tests.substrate.calls.shapes import paths_of, request_with
from tests.substrate.declared import JOB, call_on, platform_on
from tests.substrate.identity.making import allow, make_role, put

ACCOUNT, REGION = "123456789012", "us-east-1"
JOB_ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/x"
WORKER = f"arn:aws:iam::{ACCOUNT}:role/Worker"
CREATE: dict[str, Any] = {
    "TrainingJobName": "x",
    "RoleArn": WORKER,
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
}
PASS = allow("iam:PassRole", WORKER)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(STATE, path=tmp_path / "state.db", clock=ManualClock())
    ensure_seed(opened, Settings(), ManualClock())
    yield opened
    opened.close()


@pytest.fixture
def platform(store: Store, tmp_path: Path) -> Platform:
    identity = Identity(store=store, clock=ManualClock(), settings=Settings(), key_file=tmp_path / "platform.key")
    return dataclasses.replace(platform_on(store), identity=identity)


Asked = Callable[..., str]


@pytest.fixture
def asked(platform: Platform) -> Asked:
    """``asked(statements, operation, **request)``: what is refused, as ``action on resource``; empty when nothing."""
    role = make_role(platform.identity, "Caller", allow("sqs:*"))

    def ask(statements: list[dict[str, Any]], operation: str, service: str = "sagemaker", **request: Any) -> str:
        put(platform.identity, role, *statements)
        principal: Principal = platform.identity.role_session(role.arn, "s", 900).principal
        call = Call(platform, service, operation, principal, ACCOUNT, REGION, "r-1")
        try:
            authorize(registry().find(service, operation), call, request)
        except CallerError as error:
            return error.message.partition("perform: ")[2].partition(" because")[0].partition(" with")[0]
        return ""

    return ask


def when(operator: str, key: str, value: Any, action: Any = "sagemaker:*") -> list[dict[str, Any]]:
    return [allow(action, Condition={operator: {key: value}}), PASS]


def test_an_action_alone_is_not_enough_to_hand_over_a_role(asked: Asked) -> None:
    create = allow("sagemaker:CreateTrainingJob", JOB_ARN)
    assert asked([create], "CreateTrainingJob", **CREATE) == f"iam:PassRole on resource: {WORKER}"
    assert asked([create, PASS], "CreateTrainingJob", **CREATE) == ""


def test_a_role_is_passed_to_sagemaker_for_this_resource(asked: Asked) -> None:
    for key, value in (("iam:PassedToService", "sagemaker.amazonaws.com"), ("iam:AssociatedResourceArn", JOB_ARN)):
        right = allow("iam:PassRole", WORKER, Condition={"StringEquals": {key: value}})
        wrong = allow("iam:PassRole", WORKER, Condition={"StringEquals": {key: f"{value}x"}})
        assert asked([allow("sagemaker:*"), right], "CreateTrainingJob", **CREATE) == ""
        assert asked([allow("sagemaker:*"), wrong], "CreateTrainingJob", **CREATE).startswith("iam:PassRole")


def test_no_served_operation_takes_a_role_without_asking(asked: Asked) -> None:
    """Of every operation that is served, for every member of botocore's shape RoleArn anywhere in its input."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    handed_over: set[str] = set()
    for service, operation in registry().served():
        shape = model.operation_model(operation).input_shape if service == "sagemaker" else None
        for path, member in paths_of(shape) if shape is not None else ():
            if member.name == "RoleArn":
                named = {name: "x" for name in shape.required_members if shape.members[name].type_name == "string"}
                request = named | request_with(path, WORKER, shape)
                refused = asked([allow("sagemaker:*")], operation, **request)
                assert refused == f"iam:PassRole on resource: {WORKER}", (operation, path)
                handed_over.add(operation)
    assert {"CreateTrainingJob", "CreateModel", "CreateEndpointConfig"} <= handed_over


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("StringEquals", "sagemaker:InstanceTypes", "ml.m5.large"),
        ("ForAllValues:StringLike", "sagemaker:InstanceTypes", ["ml.m5.*"]),
        ("Null", "sagemaker:VolumeKmsKey", "true"),
        ("Null", "aws:RequestTag/Team", "true"),
    ],
)
def test_conditions_see_the_request(asked: Asked, operator: str, key: str, value: Any) -> None:
    assert asked(when(operator, key, value), "CreateTrainingJob", **CREATE) == ""
    other = {"true": "false"}.get(value, "ml.p3.*") if isinstance(value, str) else ["ml.p3.*"]
    refused = asked(when(operator, key, other), "CreateTrainingJob", **CREATE)
    assert refused == f"sagemaker:CreateTrainingJob on resource: {JOB_ARN}"


def test_tags_of_the_request(asked: Asked) -> None:
    tagged = {**CREATE, "Tags": [{"Key": "Team", "Value": "red"}]}
    assert asked(when("StringEquals", "aws:RequestTag/team", "red"), "CreateTrainingJob", **tagged) == ""
    assert asked(when("StringEquals", "aws:RequestTag/team", "blue"), "CreateTrainingJob", **tagged) != ""
    only = when("ForAllValues:StringEquals", "aws:TagKeys", ["Team"])
    assert asked(only, "AddTags", ResourceArn=JOB_ARN, Tags=[{"Key": "Team", "Value": "a"}]) == ""
    assert asked(only, "DeleteTags", ResourceArn=JOB_ARN, TagKeys=["Team", "Cost"]) != ""


def test_creating_with_tags_needs_add_tags(asked: Asked) -> None:
    tagged = {**CREATE, "Tags": [{"Key": "Team", "Value": "red"}]}
    create = allow("sagemaker:CreateTrainingJob", JOB_ARN)
    on_create = {"StringEquals": {"sagemaker:TaggingAction": "CreateTrainingJob"}}
    adding = allow("sagemaker:AddTags", Condition=on_create)
    assert asked([create, PASS], "CreateTrainingJob", **tagged) == f"sagemaker:AddTags on resource: {JOB_ARN}"
    assert asked([create, PASS, adding], "CreateTrainingJob", **tagged) == ""
    assert asked([create, PASS, adding], "AddTags", ResourceArn=JOB_ARN, Tags=tagged["Tags"]) != ""


@pytest.mark.parametrize("key", ["aws:ResourceTag/Team", "sagemaker:ResourceTag/team"])
def test_tags_of_the_resource(asked: Asked, platform: Platform, store: Store, key: str) -> None:
    mine = [allow("sagemaker:*", Condition={"StringEquals": {key: "red"}})]
    assert asked(mine, "DescribeTrainingJob", TrainingJobName="x") != ""  # there is no such job
    tags = [{"Key": "Team", "Value": "red"}]
    store.write(lambda tx: insert(tx, JOB, call=call_on(platform), name="x", body={}, tags=tags))
    assert asked(mine, "DescribeTrainingJob", TrainingJobName="x") == ""
    assert asked(mine, "StopTrainingJob", TrainingJobName="y") != ""


def test_tags_of_a_role(asked: Asked, platform: Platform) -> None:
    make_role(platform.identity, "Worker", tags={"Team": "red"})
    passing = allow("iam:PassRole", "*", Condition={"StringEquals": {"aws:ResourceTag/Team": "red"}})
    reading = allow("iam:GetRole", "*", Condition={"StringEquals": {"iam:ResourceTag/Team": "red"}})
    assert asked([allow("sagemaker:*"), passing], "CreateTrainingJob", **CREATE) == ""
    elsewhere = {**CREATE, "RoleArn": f"{WORKER}2"}
    assert asked([allow("sagemaker:*"), passing], "CreateTrainingJob", **elsewhere).startswith("iam:PassRole")
    assert asked([reading], "GetRole", service="iam", RoleName="Worker") == ""
    assert asked([reading], "GetRole", service="iam", RoleName="Caller").startswith("iam:GetRole")


def test_metrics_of_one_namespace(asked: Asked) -> None:
    mine = [allow("cloudwatch:*", Condition={"StringEquals": {"cloudwatch:namespace": "mine"}})]
    assert asked(mine, "PutMetricData", service="cloudwatch", Namespace="mine", MetricData=[]) == ""
    assert asked(mine, "PutMetricData", service="cloudwatch", Namespace="other", MetricData=[]) != ""


def test_tags_are_read_only_when_a_policy_asks(asked: Asked, platform: Platform, monkeypatch: Any) -> None:
    def unwanted(*_: Any) -> Any:
        raise AssertionError("read the tags")

    monkeypatch.setattr("sagebrush.substrate.calls.authorizing.tags_of_arn", unwanted)
    conditional = when("StringEquals", "sagemaker:InstanceTypes", "ml.m5.large")
    assert asked(conditional, "CreateTrainingJob", **CREATE) == ""
    with pytest.raises(AssertionError, match="read the tags"):
        asked(when("StringEquals", "aws:ResourceTag/a", "b"), "CreateTrainingJob", **CREATE)
