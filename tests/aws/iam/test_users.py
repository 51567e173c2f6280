"""Users and their access keys, as clients of the API see them."""

from __future__ import annotations

import json

from tests.aws.iam.serving import ACCOUNT, Caller, Served

READING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
)
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def test_a_user_is_created_shown_and_deleted(admin: Caller) -> None:
    made = admin.iam("CreateUser", UserName="alice", Path="/team/")["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/alice"
    assert made["UserId"].startswith("AIDA")
    assert admin.iam("GetUser", UserName="alice")["User"] == made
    assert [user["UserName"] for user in admin.iam("ListUsers")["Users"]] == ["alice"]
    admin.iam("DeleteUser", UserName="alice")
    assert admin.iam("ListUsers")["Users"] == []
    error = admin.refused("iam", "GetUser", UserName="alice")
    assert (error.code, error.message) == ("NoSuchEntity", "The user with name alice cannot be found.")


def test_a_user_without_policies_may_ask_who_it_is_and_nothing_else(admin: Caller, served: Served) -> None:
    user = admin.iam("CreateUser", UserName="alice")["User"]
    key = admin.iam("CreateAccessKey", UserName="alice")["AccessKey"]
    alice = served.using(key)
    assert alice.sts("GetCallerIdentity") == {"UserId": user["UserId"], "Account": ACCOUNT, "Arn": user["Arn"]}
    error = alice.refused("iam", "GetUser")
    assert error.message == (
        f"User: {user['Arn']} is not authorized to perform: iam:GetUser on resource: {user['Arn']} "
        "because no identity-based policy allows the iam:GetUser action"
    )


def test_a_user_may_be_an_administrator(admin: Caller, served: Served) -> None:
    admin.iam("CreateUser", UserName="alice")
    admin.iam("AttachUserPolicy", UserName="alice", PolicyArn=ADMIN)
    alice = served.using(admin.iam("CreateAccessKey", UserName="alice")["AccessKey"])
    assert alice.iam("GetUser")["User"]["UserName"] == "alice"
    own = alice.iam("CreateAccessKey")["AccessKey"]
    assert own["UserName"] == "alice"
    assert {key["AccessKeyId"] for key in alice.iam("ListAccessKeys")["AccessKeyMetadata"]} >= {own["AccessKeyId"]}
    admin.iam("DetachUserPolicy", UserName="alice", PolicyArn=ADMIN)
    assert alice.refused("iam", "ListUsers").code == "AccessDenied"


def test_sessions_must_name_the_user(admin: Caller) -> None:
    error = admin.refused("iam", "GetUser")
    assert (error.code, error.status) == ("ValidationError", 400)
    assert error.message == "Must specify userName when calling with non-User credentials"


def test_access_keys(admin: Caller, served: Served) -> None:
    admin.iam("CreateUser", UserName="alice")
    key = admin.iam("CreateAccessKey", UserName="alice")["AccessKey"]
    assert (key["Status"], key["UserName"]) == ("Active", "alice")
    listed = admin.iam("ListAccessKeys", UserName="alice")["AccessKeyMetadata"]
    assert listed == [{name: value for name, value in key.items() if name != "SecretAccessKey"}]
    admin.iam("UpdateAccessKey", UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert admin.iam("ListAccessKeys", UserName="alice")["AccessKeyMetadata"][0]["Status"] == "Inactive"
    admin.iam("CreateAccessKey", UserName="alice")
    error = admin.refused("iam", "CreateAccessKey", UserName="alice")
    assert (error.code, error.status) == ("LimitExceeded", 409)
    admin.iam("DeleteAccessKey", UserName="alice", AccessKeyId=key["AccessKeyId"])
    error = admin.refused("iam", "DeleteAccessKey", UserName="alice", AccessKeyId=key["AccessKeyId"])
    assert error.message == f"The Access Key with id {key['AccessKeyId']} cannot be found."
    assert admin.refused("iam", "DeleteUser", UserName="alice").message == (
        "Cannot delete entity, must delete access keys first."
    )


def test_another_users_key_is_not_found_under_this_user(admin: Caller) -> None:
    for name in ("alice", "bob"):
        admin.iam("CreateUser", UserName=name)
    key = admin.iam("CreateAccessKey", UserName="alice")["AccessKey"]["AccessKeyId"]
    for operation, more in (("DeleteAccessKey", {}), ("UpdateAccessKey", {"Status": "Inactive"})):
        assert admin.refused("iam", operation, UserName="bob", AccessKeyId=key, **more).code == "NoSuchEntity"


def test_a_users_policies(admin: Caller) -> None:
    admin.iam("CreateUser", UserName="alice")
    admin.iam("PutUserPolicy", UserName="alice", PolicyName="p", PolicyDocument=READING)
    assert admin.iam("ListUserPolicies", UserName="alice")["PolicyNames"] == ["p"]
    assert admin.iam("GetUserPolicy", UserName="alice", PolicyName="p")["UserName"] == "alice"
    admin.iam("AttachUserPolicy", UserName="alice", PolicyArn=ADMIN)
    attached = admin.iam("ListAttachedUserPolicies", UserName="alice")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AdministratorAccess", "PolicyArn": ADMIN}]
    admin.iam("DeleteUserPolicy", UserName="alice", PolicyName="p")
    error = admin.refused("iam", "GetUserPolicy", UserName="alice", PolicyName="p")
    assert error.message == "The user policy with name p cannot be found."
    admin.iam("TagUser", UserName="alice", Tags=[{"Key": "a", "Value": "b"}])
    assert admin.iam("ListUserTags", UserName="alice")["Tags"] == [{"Key": "a", "Value": "b"}]
    admin.iam("UntagUser", UserName="alice", TagKeys=["a"])
    assert admin.iam("ListUserTags", UserName="alice")["Tags"] == []


def test_roles_and_users_have_names_of_their_own(admin: Caller) -> None:
    admin.iam("CreateUser", UserName="SageMakerRole")
    admin.iam("DeleteUser", UserName="SageMakerRole")
    assert admin.iam("GetRole", RoleName="SageMakerRole")["Role"]["RoleName"] == "SageMakerRole"
