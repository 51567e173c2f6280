"""A user or group under another name is the same one: its keys, groups, policies and trust go along."""

from __future__ import annotations

import json

import pytest

from tests.aws.iam.serving import ACCOUNT, Caller, Served

READ_ONLY = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"
OWN = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]})


def trusting(arn: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def alice(admin: Caller, served: Served) -> Caller:
    admin.iam("CreateUser", UserName="alice", Path="/ml/")
    admin.iam("PutUserPolicy", UserName="alice", PolicyName="own", PolicyDocument=OWN)
    admin.iam("CreateGroup", GroupName="team")
    admin.iam("AddUserToGroup", GroupName="team", UserName="alice")
    admin.iam("AttachGroupPolicy", GroupName="team", PolicyArn=READ_ONLY)
    return served.using(admin.iam("CreateAccessKey", UserName="alice")["AccessKey"])


def test_a_renamed_user_keeps_everything(admin: Caller, alice: Caller, served: Served) -> None:
    before = admin.iam("GetUser", UserName="alice")["User"]
    admin.iam("CreateRole", RoleName="Worker", AssumeRolePolicyDocument=trusting(before["Arn"]))
    key = admin.iam("ListAccessKeys", UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"]
    admin.iam("UpdateUser", UserName="alice", NewUserName="alicia", NewPath="/research/")
    after = admin.iam("GetUser", UserName="alicia")["User"]
    assert after == before | {
        "UserName": "alicia",
        "Path": "/research/",
        "Arn": f"arn:aws:iam::{ACCOUNT}:user/research/alicia",
    }
    assert admin.refused("iam", "GetUser", UserName="alice").code == "NoSuchEntity"
    alicia = served.as_(served.identity.lookup(key, None).principal)
    assert alicia.sts("GetCallerIdentity")["Arn"] == after["Arn"]
    assert [group["GroupName"] for group in alicia.iam("ListGroupsForUser", UserName="alicia")["Groups"]] == ["team"]
    alicia.sts("AssumeRole", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/Worker", RoleSessionName="s1")


def test_a_renamed_group_keeps_its_users_and_policies(admin: Caller, alice: Caller) -> None:
    admin.iam("UpdateGroup", GroupName="team", NewGroupName="crew")
    assert [user["UserName"] for user in admin.iam("GetGroup", GroupName="crew")["Users"]] == ["alice"]
    assert alice.iam("ListUsers")["Users"]
    assert admin.iam("ListEntitiesForPolicy", PolicyArn=READ_ONLY)["PolicyGroups"][0]["GroupName"] == "crew"


def test_a_name_that_is_taken_is_refused_and_nothing_changes(admin: Caller, alice: Caller) -> None:
    admin.iam("CreateUser", UserName="bob")
    error = admin.refused("iam", "UpdateUser", UserName="alice", NewUserName="BOB")
    assert (error.code, error.message) == ("EntityAlreadyExists", "User with name BOB already exists.")
    assert admin.iam("GetUser", UserName="alice")["User"]["Path"] == "/ml/"
    admin.iam("UpdateUser", UserName="alice", NewUserName="Alice")  # its own name in other letters is free
    assert admin.iam("GetUser", UserName="Alice")["User"]["UserName"] == "Alice"
    assert admin.refused("iam", "UpdateUser", UserName="nobody", NewUserName="x").code == "NoSuchEntity"


def test_renaming_needs_both_the_old_name_and_the_new(admin: Caller, alice: Caller) -> None:
    only_old = {"Effect": "Allow", "Action": "iam:UpdateUser", "Resource": f"arn:aws:iam::{ACCOUNT}:user/ml/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [only_old]})
    admin.iam("PutUserPolicy", UserName="alice", PolicyName="own", PolicyDocument=document)
    error = alice.refused("iam", "UpdateUser", UserName="alice", NewPath="/admins/")
    assert f"on resource: arn:aws:iam::{ACCOUNT}:user/admins/alice" in error.message
    alice.iam("UpdateUser", UserName="alice", NewUserName="alicia")


def test_a_description_alone(admin: Caller) -> None:
    admin.iam("CreateRole", RoleName="Worker", AssumeRolePolicyDocument=trusting(ACCOUNT), MaxSessionDuration=7200)
    role = admin.iam("UpdateRoleDescription", RoleName="Worker", Description="works")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("works", 7200)
    assert admin.iam("GetRole", RoleName="Worker")["Role"] == role


def test_a_service_linked_role_is_refused_with_the_way_out(admin: Caller) -> None:
    error = admin.refused("iam", "CreateServiceLinkedRole", AWSServiceName="sagemaker.amazonaws.com")
    assert error.code == "InvalidInput"
    assert "CreateRole" in error.message
