"""Roles, as clients of the API see them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from tests.aws.iam.serving import ACCOUNT, Caller, Served

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
READING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
)
S3_READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def create(admin: Caller, name: str = "Worker", **more: Any) -> dict[str, Any]:
    role: dict[str, Any] = admin.iam("CreateRole", RoleName=name, AssumeRolePolicyDocument=TRUST, **more)["Role"]
    return role


def test_the_seeded_role_is_what_the_sdks_look_for(admin: Caller) -> None:
    role = admin.iam("GetRole", RoleName="SageMakerRole")["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/SageMakerRole"
    assert "%22sagemaker.amazonaws.com%22" in role["AssumeRolePolicyDocument"]
    trust = json.loads(unquote(role["AssumeRolePolicyDocument"]))
    assert trust["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    attached = admin.iam("ListAttachedRolePolicies", RoleName="SageMakerRole")["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonS3FullAccess", "AmazonSageMakerFullAccess"]


def test_a_role_is_created_shown_and_deleted(admin: Caller) -> None:
    tags = [{"Key": "team", "Value": "ml"}]
    made = create(admin, Path="/team/", Description="d", MaxSessionDuration=7200, Tags=tags)
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/team/Worker"
    assert made["RoleId"].startswith("AROA")
    assert len(made["RoleId"]) == 21
    shown = admin.iam("GetRole", RoleName="Worker")["Role"]
    assert shown == made
    assert (shown["Description"], shown["MaxSessionDuration"], shown["Tags"]) == ("d", 7200, tags)
    assert unquote(shown["AssumeRolePolicyDocument"]) == TRUST
    admin.iam("DeleteRole", RoleName="Worker")
    error = admin.refused("iam", "GetRole", RoleName="Worker")
    assert (error.code, error.status) == ("NoSuchEntity", 404)
    assert error.message == "The role with name Worker cannot be found."


def test_names_differ_by_more_than_case(admin: Caller) -> None:
    create(admin)
    error = admin.refused("iam", "CreateRole", RoleName="WORKER", AssumeRolePolicyDocument=TRUST)
    assert (error.code, error.status) == ("EntityAlreadyExists", 409)
    assert error.message == "Role with name WORKER already exists."


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "Syntax errors in policy."),
        (READING, "AssumeRole policy may only specify STS AssumeRole actions."),
        (
            TRUST.replace('{"Service": "sagemaker.amazonaws.com"}', '{"AWS": "arn:aws:iam::123456789012:user/nobody"}'),
            'Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/nobody"',
        ),
    ],
)
def test_a_bad_trust_policy_is_refused(admin: Caller, document: str, message: str) -> None:
    for operation, request in (
        ("CreateRole", {"RoleName": "W", "AssumeRolePolicyDocument": document}),
        ("UpdateAssumeRolePolicy", {"RoleName": "SageMakerRole", "PolicyDocument": document}),
    ):
        error = admin.refused("iam", operation, **request)
        assert (error.code, error.status, error.message) == ("MalformedPolicyDocument", 400, message)


def test_a_trust_policy_may_name_users_that_exist(admin: Caller) -> None:
    user = admin.iam("CreateUser", UserName="alice")["User"]
    trust = TRUST.replace('{"Service": "sagemaker.amazonaws.com"}', json.dumps({"AWS": user["Arn"]}))
    admin.iam("UpdateAssumeRolePolicy", RoleName="SageMakerRole", PolicyDocument=trust)
    assert unquote(admin.iam("GetRole", RoleName="SageMakerRole")["Role"]["AssumeRolePolicyDocument"]) == trust


def test_update_role_sets_what_is_given_and_resets_the_rest(admin: Caller) -> None:
    create(admin, Description="d", MaxSessionDuration=7200)
    admin.iam("UpdateRole", RoleName="Worker", MaxSessionDuration=5000)
    role = admin.iam("GetRole", RoleName="Worker")["Role"]
    assert role["MaxSessionDuration"] == 5000
    assert "Description" not in role


def test_inline_policies(admin: Caller) -> None:
    create(admin)
    admin.iam("PutRolePolicy", RoleName="Worker", PolicyName="b", PolicyDocument=READING)
    admin.iam("PutRolePolicy", RoleName="Worker", PolicyName="a", PolicyDocument=READING)
    changed = READING.replace("Get", "Put")
    admin.iam("PutRolePolicy", RoleName="Worker", PolicyName="b", PolicyDocument=changed)
    assert admin.iam("ListRolePolicies", RoleName="Worker")["PolicyNames"] == ["a", "b"]
    shown = admin.iam("GetRolePolicy", RoleName="Worker", PolicyName="b")
    assert (shown["RoleName"], shown["PolicyName"]) == ("Worker", "b")
    assert unquote(shown["PolicyDocument"]) == changed
    admin.iam("DeleteRolePolicy", RoleName="Worker", PolicyName="b")
    for operation in ("GetRolePolicy", "DeleteRolePolicy"):
        error = admin.refused("iam", operation, RoleName="Worker", PolicyName="b")
        assert (error.code, error.message) == ("NoSuchEntity", "The role policy with name b cannot be found.")
    error = admin.refused("iam", "PutRolePolicy", RoleName="Worker", PolicyName="c", PolicyDocument=TRUST)
    assert error.message == "Policy document should not specify a principal."


def test_inline_policies_have_a_size_together(admin: Caller) -> None:
    create(admin)
    resources = [f"arn:aws:s3:::bucket-{number}/*" for number in range(200)]
    big = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": resources}]}
    )
    assert 5120 < len("".join(big.split())) < 10_240
    admin.iam("PutRolePolicy", RoleName="Worker", PolicyName="a", PolicyDocument=big)
    admin.iam("PutRolePolicy", RoleName="Worker", PolicyName="a", PolicyDocument=big)
    error = admin.refused("iam", "PutRolePolicy", RoleName="Worker", PolicyName="b", PolicyDocument=big)
    assert (error.code, error.status) == ("LimitExceeded", 409)
    assert error.message == "Maximum policy size of 10240 bytes exceeded for role Worker"


def test_attached_policies(admin: Caller) -> None:
    create(admin)
    for _ in range(2):
        admin.iam("AttachRolePolicy", RoleName="Worker", PolicyArn=S3_READ)
    attached = admin.iam("ListAttachedRolePolicies", RoleName="Worker")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": S3_READ}]
    admin.iam("DetachRolePolicy", RoleName="Worker", PolicyArn=S3_READ)
    assert admin.iam("ListAttachedRolePolicies", RoleName="Worker")["AttachedPolicies"] == []
    error = admin.refused("iam", "DetachRolePolicy", RoleName="Worker", PolicyArn=S3_READ)
    assert (error.code, error.message) == ("NoSuchEntity", f"Policy {S3_READ} was not found.")
    error = admin.refused("iam", "AttachRolePolicy", RoleName="Worker", PolicyArn=S3_READ + "X")
    assert (error.code, error.message) == (
        "NoSuchEntity",
        f"Policy {S3_READ}X does not exist or is not attachable.",
    )


def test_a_role_with_policies_cannot_be_deleted(admin: Caller) -> None:
    create(admin)
    admin.iam("AttachRolePolicy", RoleName="Worker", PolicyArn=S3_READ)
    admin.iam("PutRolePolicy", RoleName="Worker", PolicyName="a", PolicyDocument=READING)
    messages = []
    error = admin.refused("iam", "DeleteRole", RoleName="Worker")
    messages.append((error.code, error.status, error.message))
    admin.iam("DetachRolePolicy", RoleName="Worker", PolicyArn=S3_READ)
    error = admin.refused("iam", "DeleteRole", RoleName="Worker")
    messages.append((error.code, error.status, error.message))
    assert messages == [
        ("DeleteConflict", 409, "Cannot delete entity, must detach all policies first."),
        ("DeleteConflict", 409, "Cannot delete entity, must delete policies first."),
    ]
    admin.iam("DeleteRolePolicy", RoleName="Worker", PolicyName="a")
    admin.iam("DeleteRole", RoleName="Worker")


def test_a_role_has_ten_attached_policies_at_most(admin: Caller) -> None:
    create(admin)
    arns = [policy["Arn"] for policy in admin.iam("ListPolicies", Scope="AWS")["Policies"]]
    assert len(arns) > 10
    for arn in arns[:10]:
        admin.iam("AttachRolePolicy", RoleName="Worker", PolicyArn=arn)
    error = admin.refused("iam", "AttachRolePolicy", RoleName="Worker", PolicyArn=arns[10])
    assert (error.code, error.message) == ("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10")


def test_roles_are_listed_in_pages_by_name(admin: Caller) -> None:
    for name in ("b", "c", "a"):
        create(admin, name, Path="/x/")
    create(admin, "y", Path="/y/")
    pages, request = [], {"PathPrefix": "/x/", "MaxItems": 2}
    page = admin.iam("ListRoles", **request)
    pages.append([role["RoleName"] for role in page["Roles"]])
    assert page["IsTruncated"]
    last = admin.iam("ListRoles", **request, Marker=page["Marker"])
    pages.append([role["RoleName"] for role in last["Roles"]])
    assert pages == [["a", "b"], ["c"]]
    assert last["IsTruncated"] is False
    assert "Marker" not in last
    assert {role["RoleName"] for role in admin.iam("ListRoles")["Roles"]} == {"SageMakerRole", "a", "b", "c", "y"}


def test_a_marker_is_good_for_its_listing_only(admin: Caller) -> None:
    create(admin)
    marker = admin.iam("ListRoles", MaxItems=1)["Marker"]
    for request in ({"PathPrefix": "/x/", "Marker": marker}, {"Marker": marker[:-4] + "AAAA"}, {"Marker": "é"}):
        error = admin.refused("iam", "ListRoles", **request)
        assert (error.code, error.message) == ("ValidationError", "Invalid Marker.")
    assert admin.refused("iam", "ListUsers", Marker=marker).message == "Invalid Marker."


def test_a_path_prefix_is_no_pattern(admin: Caller) -> None:
    create(admin, "a", Path="/a_b/")
    create(admin, "b", Path="/axb/")
    assert [role["RoleName"] for role in admin.iam("ListRoles", PathPrefix="/a_")["Roles"]] == ["a"]


def test_tags_of_roles(admin: Caller) -> None:
    create(admin, Tags=[{"Key": "a", "Value": "1"}])
    admin.iam("TagRole", RoleName="Worker", Tags=[{"Key": "A", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert admin.iam("ListRoleTags", RoleName="Worker")["Tags"] == [
        {"Key": "A", "Value": "2"},
        {"Key": "b", "Value": "3"},
    ]
    admin.iam("UntagRole", RoleName="Worker", TagKeys=["a", "zzz"])
    assert admin.iam("ListRoleTags", RoleName="Worker")["Tags"] == [{"Key": "b", "Value": "3"}]
    twice = [{"Key": "k", "Value": "1"}, {"Key": "K", "Value": "2"}]
    assert admin.refused("iam", "TagRole", RoleName="Worker", Tags=twice).code == "InvalidInput"


def test_a_boundary_limits_what_policies_grant(admin: Caller, served: Served) -> None:
    role = create(admin)
    admin.iam("PutRolePolicy", RoleName="Worker", PolicyName="a", PolicyDocument=READING.replace("s3:Get*", "*"))
    ask = {"PolicySourceArn": role["Arn"], "ActionNames": ["s3:GetObject", "s3:PutObject"]}

    def answers() -> list[str]:
        results = admin.iam("SimulatePrincipalPolicy", **ask)["EvaluationResults"]
        return [result["EvalDecision"] for result in results]

    assert answers() == ["allowed", "allowed"]
    admin.iam("PutRolePermissionsBoundary", RoleName="Worker", PermissionsBoundary=S3_READ)
    assert answers() == ["allowed", "implicitDeny"]
    shown = admin.iam("GetRole", RoleName="Worker")["Role"]["PermissionsBoundary"]
    assert shown == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": S3_READ}
    admin.iam("DeleteRolePermissionsBoundary", RoleName="Worker")
    assert answers() == ["allowed", "allowed"]
    assert admin.refused("iam", "DeleteRolePermissionsBoundary", RoleName="Worker").code == "NoSuchEntity"
    missing = admin.refused("iam", "PutRolePermissionsBoundary", RoleName="Worker", PermissionsBoundary=S3_READ + "X")
    assert missing.code == "NoSuchEntity"


def test_iam_itself_is_authorised_on_the_roles_arn(admin: Caller, served: Served) -> None:
    create(admin, "Mine", Path="/mine/")
    create(admin, "Other")
    create(admin, "Manager")
    granted = READING.replace("s3:Get*", "iam:*").replace(
        '"Resource": "*"', f'"Resource": "arn:aws:iam::{ACCOUNT}:role/mine/*"'
    )
    admin.iam("PutRolePolicy", RoleName="Manager", PolicyName="a", PolicyDocument=granted)
    manager = served.as_(served.identity.role_session(f"arn:aws:iam::{ACCOUNT}:role/Manager", "s", 900).principal)
    manager.iam("GetRole", RoleName="Mine")
    manager.iam("CreateRole", RoleName="New", Path="/mine/", AssumeRolePolicyDocument=TRUST)
    for operation, request in (
        ("GetRole", {"RoleName": "Other"}),
        ("GetRole", {"RoleName": "Nobody"}),
        ("CreateRole", {"RoleName": "New2", "AssumeRolePolicyDocument": TRUST}),
        ("AttachRolePolicy", {"RoleName": "Manager", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        ("ListRoles", {}),
    ):
        error = manager.refused("iam", operation, **request)
        assert (error.code, error.status) == ("AccessDenied", 403)
        assert f"is not authorized to perform: iam:{operation} on resource: " in error.message
