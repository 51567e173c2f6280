"""Who am I, and who may be whom."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from sagebrush.substrate.clock import to_datetime
from tests.aws.iam.serving import ACCOUNT, Caller, Served

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
WORKER = f"arn:aws:iam::{ACCOUNT}:role/Worker"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> str:
    return policy({"Effect": "Allow", "Principal": principal, "Action": action, **more})


def allow(action: Any, resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def make_role(admin: Caller, document: str, *, name: str = "Worker", may: Any = "s3:*", **more: Any) -> str:
    role = admin.iam("CreateRole", RoleName=name, AssumeRolePolicyDocument=document, **more)["Role"]
    admin.iam("PutRolePolicy", RoleName=name, PolicyName="p", PolicyDocument=policy(allow(may)))
    arn: str = role["Arn"]
    return arn


def make_user(admin: Caller, served: Served, *statements: dict[str, Any], name: str = "alice") -> Caller:
    admin.iam("CreateUser", UserName=name)
    if statements:
        admin.iam("PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
    return served.using(admin.iam("CreateAccessKey", UserName=name)["AccessKey"])


def assume(caller: Caller, role_arn: str = WORKER, **more: Any) -> dict[str, Any]:
    return caller.sts("AssumeRole", RoleArn=role_arn, RoleSessionName="session-1", **more)


def may(served: Served, caller: Caller, action: str, resource: str = "*") -> bool:
    return served.identity.decide(caller.principal, action, resource).allowed


def test_the_operator_is_seen_as_an_assumed_role(admin: Caller) -> None:
    """``get_execution_role()`` rewrites this ARN to the role's and asks GetRole for it."""
    found = admin.sts("GetCallerIdentity")
    assert found["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/SageMakerRole/operator"
    assert found["Account"] == ACCOUNT
    role_id = admin.iam("GetRole", RoleName="SageMakerRole")["Role"]["RoleId"]
    assert found["UserId"] == f"{role_id}:operator"


def test_a_role_is_assumed_by_whom_it_trusts(admin: Caller, served: Served) -> None:
    make_role(admin, trust({"AWS": ROOT}), Path="/team/")
    answer = assume(admin, f"arn:aws:iam::{ACCOUNT}:role/team/Worker")
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Worker/session-1"
    assert answer["AssumedRoleUser"]["AssumedRoleId"].endswith(":session-1")
    expected = to_datetime(served.clock.now_us()) + timedelta(hours=1)
    assert answer["Credentials"]["Expiration"] == expected
    session = served.using(answer["Credentials"])
    found = session.sts("GetCallerIdentity")
    assert (found["Arn"], found["UserId"]) == tuple(
        answer["AssumedRoleUser"][name] for name in ("Arn", "AssumedRoleId")
    )
    assert may(served, session, "s3:GetObject")
    assert not may(served, session, "iam:GetRole")


def test_even_the_operator_cannot_assume_a_role_that_does_not_trust_it(admin: Caller) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/SageMakerRole"
    error = admin.refused("sts", "AssumeRole", RoleArn=arn, RoleSessionName="session-1")
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert error.message.startswith(
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/SageMakerRole/operator is not authorized to perform: "
        f"sts:AssumeRole on resource: {arn}"
    )


def test_a_role_that_does_not_exist_is_refused_in_the_same_words(admin: Caller) -> None:
    missing = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="session-1")
    make_role(admin, trust({"Service": "ec2.amazonaws.com"}))
    untrusting = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="session-1")
    assert (missing.code, missing.status, missing.message) == (
        untrusting.code,
        untrusting.status,
        untrusting.message,
    )


def test_trusting_the_account_leaves_it_to_the_accounts_policies(admin: Caller, served: Served) -> None:
    make_role(admin, trust({"AWS": ROOT}))
    alice = make_user(admin, served)
    assert alice.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1").code == "AccessDenied"
    bob = make_user(admin, served, allow("sts:AssumeRole", WORKER), name="bob")
    assert assume(bob)["Credentials"]["SessionToken"]


def test_trusting_a_user_needs_no_policy_of_the_user(admin: Caller, served: Served) -> None:
    alice, bob = make_user(admin, served), make_user(admin, served, allow("sts:*"), name="bob")
    make_role(admin, trust({"AWS": alice.principal.arn}))
    assert assume(alice)["Credentials"]["SessionToken"]
    assert bob.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1").code == "AccessDenied"


def test_an_explicit_deny_of_the_user_overrides_the_trust(admin: Caller, served: Served) -> None:
    alice = make_user(admin, served, {"Effect": "Deny", "Action": "sts:*", "Resource": "*"})
    make_role(admin, trust({"AWS": alice.principal.arn}))
    error = alice.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1")
    assert "with an explicit deny in an identity-based policy: inline policy p of " in error.message


def test_conditions_of_the_trust_policy(admin: Caller) -> None:
    make_role(admin, trust({"AWS": ROOT}, Condition={"StringEquals": {"sts:ExternalId": "secret"}}))
    assert admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1").code == "AccessDenied"
    error = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1", ExternalId="wrong")
    assert error.code == "AccessDenied"
    assert assume(admin, ExternalId="secret")["Credentials"]["SessionToken"]
    named = trust({"AWS": ROOT}, Condition={"StringLike": {"sts:RoleSessionName": "team-*"}})
    admin.iam("UpdateAssumeRolePolicy", RoleName="Worker", PolicyDocument=named)
    assert admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1").code == "AccessDenied"
    admin.sts("AssumeRole", RoleArn=WORKER, RoleSessionName="team-1")


def test_a_session_policy_restricts_the_session(admin: Caller, served: Served) -> None:
    make_role(admin, trust({"AWS": ROOT}))
    answer = assume(admin, Policy=policy(allow(["s3:Get*", "iam:*"])))
    assert 0 < answer["PackedPolicySize"] <= 100
    session = served.using(answer["Credentials"])
    assert may(served, session, "s3:GetObject")
    assert not may(served, session, "s3:PutObject")
    assert not may(served, session, "iam:GetRole")


def test_managed_session_policies_restrict_the_session(admin: Caller, served: Served) -> None:
    make_role(admin, trust({"AWS": ROOT}))
    answer = assume(admin, PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}])
    session = served.using(answer["Credentials"])
    assert may(served, session, "s3:GetObject")
    assert not may(served, session, "s3:PutObject")
    missing = [{"arn": "arn:aws:iam::aws:policy/NoSuchPolicyAtAll"}]
    error = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1", PolicyArns=missing)
    assert error.code == "NoSuchEntity"


def test_bad_session_policies_are_refused(admin: Caller) -> None:
    make_role(admin, trust({"AWS": ROOT}))
    error = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1", Policy="{}")
    assert (error.code, error.status) == ("MalformedPolicyDocument", 400)
    large = policy(allow("s3:*", [f"arn:aws:s3:::bucket-{number}/*" for number in range(100)]))
    error = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1", Policy=large)
    assert (error.code, error.status) == ("PackedPolicyTooLarge", 400)


def test_durations_have_limits(admin: Caller, served: Served) -> None:
    make_role(admin, trust({"AWS": ROOT}), MaxSessionDuration=7200)
    answer = assume(admin, DurationSeconds=7200)
    assert answer["Credentials"]["Expiration"] == to_datetime(served.clock.now_us()) + timedelta(hours=2)
    error = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1", DurationSeconds=7201)
    assert (error.code, error.status) == ("ValidationError", 400)
    assert error.message == "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."


def test_a_role_that_assumes_a_role_gets_an_hour(admin: Caller, served: Served) -> None:
    make_role(admin, trust({"AWS": ROOT}), may="sts:*", MaxSessionDuration=7200)
    make_role(admin, trust({"AWS": ROOT}), name="Second", MaxSessionDuration=7200)
    second = f"arn:aws:iam::{ACCOUNT}:role/Second"
    first = served.using(assume(admin)["Credentials"])
    error = first.refused("sts", "AssumeRole", RoleArn=second, RoleSessionName="s2", DurationSeconds=3601)
    assert "1 hour session limit for roles assumed by role chaining" in error.message
    chained = served.using(assume(first, second)["Credentials"])
    assert chained.principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/Second/session-1"


def test_session_tags_need_the_trusts_leave_and_are_seen_by_policies(admin: Caller, served: Served) -> None:
    arn = make_role(admin, trust({"AWS": ROOT}))
    tags = [{"Key": "team", "Value": "ml"}]
    error = admin.refused("sts", "AssumeRole", RoleArn=arn, RoleSessionName="s1", Tags=tags)
    assert "is not authorized to perform: sts:TagSession on resource: " in error.message
    both = trust({"AWS": ROOT}, ["sts:AssumeRole", "sts:TagSession"])
    admin.iam("UpdateAssumeRolePolicy", RoleName="Worker", PolicyDocument=both)
    home = policy(allow("s3:*", "arn:aws:s3:::data/${aws:PrincipalTag/team}/*"))
    admin.iam("PutRolePolicy", RoleName="Worker", PolicyName="p", PolicyDocument=home)
    session = served.using(assume(admin, Tags=tags)["Credentials"])
    assert may(served, session, "s3:GetObject", "arn:aws:s3:::data/ml/x")
    assert not may(served, session, "s3:GetObject", "arn:aws:s3:::data/web/x")


def test_transitive_tags_go_on_to_chained_sessions_and_cannot_be_changed(admin: Caller, served: Served) -> None:
    both = trust({"AWS": ROOT}, ["sts:AssumeRole", "sts:TagSession"])
    make_role(admin, both, may="sts:*")
    second = make_role(admin, both, name="Second")
    tags = [{"Key": "team", "Value": "ml"}, {"Key": "here", "Value": "only"}]
    first = served.using(assume(admin, Tags=tags, TransitiveTagKeys=["team"])["Credentials"])
    chained = served.using(assume(first, second)["Credentials"])
    carried = dict(chained.principal.session_context)
    assert carried["aws:PrincipalTag/team"] == "ml"
    assert "aws:PrincipalTag/here" not in carried
    changed = [{"Key": "TEAM", "Value": "web"}]
    error = first.refused("sts", "AssumeRole", RoleArn=second, RoleSessionName="s2", Tags=changed)
    assert error.code == "InvalidParameterValue"


def test_a_source_identity_needs_leave_and_is_shown(admin: Caller) -> None:
    make_role(admin, trust({"AWS": ROOT}))
    error = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1", SourceIdentity="alice")
    assert "sts:SetSourceIdentity" in error.message
    both = trust({"AWS": ROOT}, ["sts:AssumeRole", "sts:SetSourceIdentity"])
    admin.iam("UpdateAssumeRolePolicy", RoleName="Worker", PolicyDocument=both)
    assert assume(admin, SourceIdentity="alice")["SourceIdentity"] == "alice"


@pytest.mark.parametrize("request_member", [{"SerialNumber": "arn:aws:iam::1:mfa/x"}, {"TokenCode": "123456"}])
def test_mfa_is_refused_and_not_ignored(admin: Caller, request_member: dict[str, str]) -> None:
    make_role(admin, trust({"AWS": ROOT}))
    error = admin.refused("sts", "AssumeRole", RoleArn=WORKER, RoleSessionName="s1", **request_member)
    assert (error.code, error.status) == ("AccessDenied", 403)


def test_a_session_ends_with_its_role(admin: Caller, served: Served) -> None:
    make_role(admin, trust({"AWS": ROOT}))
    session = served.using(assume(admin)["Credentials"])
    assert may(served, session, "s3:GetObject")
    admin.iam("DeleteRolePolicy", RoleName="Worker", PolicyName="p")
    admin.iam("DeleteRole", RoleName="Worker")
    assert not may(served, session, "s3:GetObject")


def test_a_user_gets_a_session_with_its_own_rights(admin: Caller, served: Served) -> None:
    alice = make_user(admin, served, allow("s3:*"))
    given = alice.sts("GetSessionToken")["Credentials"]
    assert given["Expiration"] == to_datetime(served.clock.now_us()) + timedelta(hours=12)
    session = served.using(given)
    assert session.sts("GetCallerIdentity")["Arn"] == alice.principal.arn
    assert may(served, session, "s3:GetObject")
    assert not may(served, session, "sqs:SendMessage")
    for caller in (session, admin):
        assert (
            caller.refused("sts", "GetSessionToken").message == "Cannot call GetSessionToken with session credentials"
        )


def test_an_access_key_names_its_account(admin: Caller, served: Served) -> None:
    key = assume(admin, make_role(admin, trust({"AWS": ROOT})))["Credentials"]["AccessKeyId"]
    assert admin.sts("GetAccessKeyInfo", AccessKeyId=key) == {"Account": ACCOUNT}
    error = admin.refused("sts", "GetAccessKeyInfo", AccessKeyId="AKIA-not-a-key-at-all")
    assert error.code == "ValidationError"
