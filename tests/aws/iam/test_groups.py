"""Groups: whoever is in one has what it allows, and loses what it denies."""

from __future__ import annotations

import json

import pytest

from tests.aws.iam.serving import ACCOUNT, Caller, Served

READ_ONLY = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def statement(effect: str, action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": "*"}]})


@pytest.fixture
def alice(admin: Caller, served: Served) -> Caller:
    """A user with no policy of her own, in the group ``team``, which has none either."""
    admin.iam("CreateUser", UserName="alice")
    admin.iam("CreateGroup", GroupName="team")
    admin.iam("AddUserToGroup", GroupName="team", UserName="alice")
    return served.using(admin.iam("CreateAccessKey", UserName="alice")["AccessKey"])


def test_a_group_is_created_shown_listed_and_deleted(admin: Caller) -> None:
    made = admin.iam("CreateGroup", GroupName="team", Path="/ml/")["Group"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/ml/team"
    assert made["GroupId"].startswith("AGPA")
    assert admin.iam("GetGroup", GroupName="team") == {"Group": made, "Users": [], "IsTruncated": False}
    admin.iam("CreateGroup", GroupName="other")
    assert [group["GroupName"] for group in admin.iam("ListGroups")["Groups"]] == ["other", "team"]
    assert [group["GroupName"] for group in admin.iam("ListGroups", PathPrefix="/ml/")["Groups"]] == ["team"]
    error = admin.refused("iam", "CreateGroup", GroupName="TEAM")
    assert (error.code, error.message) == ("EntityAlreadyExists", "Group with name TEAM already exists.")
    admin.iam("DeleteGroup", GroupName="team")
    error = admin.refused("iam", "GetGroup", GroupName="team")
    assert (error.code, error.message) == ("NoSuchEntity", "The group with name team cannot be found.")


def test_an_attached_policy_of_the_group_counts_for_its_users_from_then_until_they_leave(
    admin: Caller, alice: Caller
) -> None:
    assert alice.refused("iam", "ListUsers").code == "AccessDenied"
    admin.iam("AttachGroupPolicy", GroupName="team", PolicyArn=READ_ONLY)
    assert [user["UserName"] for user in alice.iam("ListUsers")["Users"]] == ["alice"]
    assert alice.refused("iam", "CreateUser", UserName="bob").code == "AccessDenied"
    admin.iam("RemoveUserFromGroup", GroupName="team", UserName="alice")
    assert alice.refused("iam", "ListUsers").code == "AccessDenied"


def test_an_inline_policy_of_the_group_counts_and_a_denial_in_it_wins(admin: Caller, alice: Caller) -> None:
    admin.iam("AttachUserPolicy", UserName="alice", PolicyArn=ADMIN)
    admin.iam("PutGroupPolicy", GroupName="team", PolicyName="no", PolicyDocument=statement("Deny", "iam:ListRoles"))
    assert "with an explicit deny" in alice.refused("iam", "ListRoles").message
    assert admin.iam("ListGroupPolicies", GroupName="team")["PolicyNames"] == ["no"]
    admin.iam("DeleteGroupPolicy", GroupName="team", PolicyName="no")
    assert "Roles" in alice.iam("ListRoles")


def test_a_simulation_names_the_groups_policy_and_simulates_the_group_itself(admin: Caller, alice: Caller) -> None:
    document = statement("Allow", "s3:GetObject")
    admin.iam("PutGroupPolicy", GroupName="team", PolicyName="reading", PolicyDocument=document)
    for source in ("user/alice", "group/team"):
        (result,) = admin.iam(
            "SimulatePrincipalPolicy",
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:{source}",
            ActionNames=["s3:GetObject"],
        )["EvaluationResults"]
        assert result["EvalDecision"] == "allowed"
        (matched,) = result["MatchedStatements"]
        assert (matched["SourcePolicyId"], matched["SourcePolicyType"]) == ("reading", "group")


def test_members_are_told_from_both_sides(admin: Caller, alice: Caller) -> None:
    for name in ("bob", "carol"):
        admin.iam("CreateUser", UserName=name)
        admin.iam("AddUserToGroup", GroupName="team", UserName=name)
    admin.iam("AddUserToGroup", GroupName="team", UserName="bob")  # Once more does nothing.
    first = admin.iam("GetGroup", GroupName="team", MaxItems=2)
    rest = admin.iam("GetGroup", GroupName="team", MaxItems=2, Marker=first["Marker"])
    assert [user["UserName"] for user in first["Users"] + rest["Users"]] == ["alice", "bob", "carol"]
    (group,) = admin.iam("ListGroupsForUser", UserName="bob")["Groups"]
    assert group["GroupName"] == "team"
    for operation, more in (("AddUserToGroup", {}), ("RemoveUserFromGroup", {})):
        error = admin.refused("iam", operation, GroupName="team", UserName="nobody", **more)
        assert (error.code, error.message) == ("NoSuchEntity", "The user with name nobody cannot be found.")
    admin.iam("RemoveUserFromGroup", GroupName="team", UserName="bob")
    error = admin.refused("iam", "RemoveUserFromGroup", GroupName="team", UserName="bob")
    assert (error.code, error.status) == ("NoSuchEntity", 404)
    assert "bob" in error.message


def test_neither_a_group_with_users_or_policies_nor_a_user_in_a_group_is_deleted(admin: Caller, alice: Caller) -> None:
    in_group = "Cannot delete entity, must remove users from group first."
    for operation, name in (("DeleteGroup", {"GroupName": "team"}), ("DeleteUser", {"UserName": "alice"})):
        error = admin.refused("iam", operation, **name)
        assert (error.code, error.message) == ("DeleteConflict", in_group)
    admin.iam("RemoveUserFromGroup", GroupName="team", UserName="alice")
    admin.iam("AttachGroupPolicy", GroupName="team", PolicyArn=READ_ONLY)
    error = admin.refused("iam", "DeleteGroup", GroupName="team")
    assert error.message == "Cannot delete entity, must detach all policies first."
    admin.iam("DetachGroupPolicy", GroupName="team", PolicyArn=READ_ONLY)
    admin.iam("DeleteGroup", GroupName="team")


def test_a_user_is_in_ten_groups_at_most(admin: Caller) -> None:
    admin.iam("CreateUser", UserName="alice")
    for number in range(11):
        admin.iam("CreateGroup", GroupName=f"g{number}")
        if number < 10:
            admin.iam("AddUserToGroup", GroupName=f"g{number}", UserName="alice")
    error = admin.refused("iam", "AddUserToGroup", GroupName="g10", UserName="alice")
    assert (error.code, error.message) == ("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10")


def test_who_has_a_policy_is_told(admin: Caller, alice: Caller) -> None:
    admin.iam("AttachGroupPolicy", GroupName="team", PolicyArn=READ_ONLY)
    admin.iam("PutUserPermissionsBoundary", UserName="alice", PermissionsBoundary=READ_ONLY)
    told = admin.iam("ListEntitiesForPolicy", PolicyArn=READ_ONLY)
    assert [group["GroupName"] for group in told["PolicyGroups"]] == ["team"]
    assert [user["UserName"] for user in told["PolicyUsers"]] == ["alice"]
    assert told["PolicyRoles"] == []
    only = admin.iam("ListEntitiesForPolicy", PolicyArn=READ_ONLY, PolicyUsageFilter="PermissionsBoundary")
    assert (only["PolicyGroups"], len(only["PolicyUsers"])) == ([], 1)
    assert admin.iam("ListEntitiesForPolicy", PolicyArn=READ_ONLY, EntityFilter="Role")["PolicyUsers"] == []
