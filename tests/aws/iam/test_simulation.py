"""Policy simulations answer what a real request would get."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagebrush.substrate.errors import CallerError
from tests.aws.iam.serving import ACCOUNT, Caller, Served

ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerRole"
#: What ModelTrainer of the SageMaker SDK (v3) asks before a job.
TRAINING = [
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcs",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=1)


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def custom(admin: Caller, *documents: str, actions: list[str], **more: Any) -> list[dict[str, Any]]:
    answer = admin.iam("SimulateCustomPolicy", PolicyInputList=list(documents), ActionNames=actions, **more)
    results: list[dict[str, Any]] = answer["EvaluationResults"]
    return results


def test_the_seeded_role_passes_what_the_sdk_asks_before_training(admin: Caller) -> None:
    results = admin.iam("SimulatePrincipalPolicy", PolicySourceArn=ROLE, ActionNames=TRAINING)["EvaluationResults"]
    assert [result["EvalActionName"] for result in results] == TRAINING
    assert {result["EvalDecision"] for result in results} == {"allowed"}
    upload = admin.iam(
        "SimulatePrincipalPolicy",
        PolicySourceArn=ROLE,
        ActionNames=["s3:PutObject"],
        ResourceArns=["arn:aws:s3:::sagemaker-us-east-1-123456789012/*"],
    )
    assert upload["EvaluationResults"][0]["EvalDecision"] == "allowed"
    assert upload["IsTruncated"] is False


def test_the_seeded_role_is_no_administrator_in_a_simulation_either(admin: Caller) -> None:
    asked = ["iam:CreateUser", "iam:AttachRolePolicy", "sts:AssumeRole"]
    results = admin.iam("SimulatePrincipalPolicy", PolicySourceArn=ROLE, ActionNames=asked)["EvaluationResults"]
    assert {result["EvalDecision"] for result in results} == {"implicitDeny"}
    assert all(result["MatchedStatements"] == [] for result in results)


def test_results_name_the_statement_that_decided(admin: Caller) -> None:
    document = policy(allow("s3:*"), {"Effect": "Deny", "Action": "s3:Put*", "Resource": "*"})
    lines = document.splitlines()
    get, put = custom(admin, document, actions=["s3:GetObject", "s3:PutObject"])
    assert (get["EvalDecision"], put["EvalDecision"]) == ("allowed", "explicitDeny")
    (granted,), (denied,) = get["MatchedStatements"], put["MatchedStatements"]
    assert (granted["SourcePolicyId"], granted["SourcePolicyType"]) == ("PolicyInputList.1", "none")
    assert '"Effect": "Allow"' in lines[granted["StartPosition"]["Line"]]
    assert '"Effect": "Deny"' in lines[denied["StartPosition"]["Line"]]


def test_matched_statements_name_their_policies(admin: Caller) -> None:
    admin.iam(
        "PutRolePolicy", RoleName="SageMakerRole", PolicyName="extra", PolicyDocument=policy(allow("s3:GetObject"))
    )
    (result,) = admin.iam("SimulatePrincipalPolicy", PolicySourceArn=ROLE, ActionNames=["s3:GetObject"])[
        "EvaluationResults"
    ]
    assert {(match["SourcePolicyId"], match["SourcePolicyType"]) for match in result["MatchedStatements"]} == {
        ("extra", "role"),
        ("AmazonS3FullAccess", "aws-managed"),
    }


def test_every_action_is_asked_on_every_resource(admin: Caller) -> None:
    document = policy(allow("s3:GetObject", "arn:aws:s3:::a/*"))
    results = custom(
        admin,
        document,
        actions=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::a/x", "arn:aws:s3:::b/x"],
    )
    assert [(r["EvalActionName"], r["EvalResourceName"][13], r["EvalDecision"]) for r in results] == [
        ("s3:GetObject", "a", "allowed"),
        ("s3:GetObject", "b", "implicitDeny"),
        ("s3:PutObject", "a", "implicitDeny"),
        ("s3:PutObject", "b", "implicitDeny"),
    ]


def test_missing_context_keys_are_named_until_they_are_given(admin: Caller) -> None:
    condition = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
    document = policy(
        allow("s3:*", "arn:aws:s3:::${aws:PrincipalTag/team}/*", Condition=condition),
        allow("sqs:*", Condition={"Null": {"sqs:x": "true"}}),
    )
    (result,) = custom(admin, document, actions=["s3:GetObject"], ResourceArns=["arn:aws:s3:::ml/x"])
    assert result["EvalDecision"] == "implicitDeny"
    assert result["MissingContextValues"] == ["aws:PrincipalTag/team", "aws:RequestedRegion"]
    entries = [
        {"ContextKeyName": "aws:requestedregion", "ContextKeyValues": ["us-east-1"], "ContextKeyType": "string"},
        {"ContextKeyName": "aws:PrincipalTag/team", "ContextKeyValues": ["ml"], "ContextKeyType": "string"},
    ]
    (result,) = custom(
        admin, document, actions=["s3:GetObject"], ResourceArns=["arn:aws:s3:::ml/x"], ContextEntries=entries
    )
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("allowed", [])


def test_a_boundary_is_told_apart(admin: Caller) -> None:
    boundary = policy(allow("s3:Get*"))
    get, put = custom(
        admin,
        policy(allow("s3:*")),
        actions=["s3:GetObject", "s3:PutObject"],
        PermissionsBoundaryPolicyInputList=[boundary],
    )
    assert get["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
    assert put["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert (get["EvalDecision"], put["EvalDecision"]) == ("allowed", "implicitDeny")


def test_a_resource_policy_counts_for_the_caller_it_names(admin: Caller) -> None:
    alice = f"arn:aws:iam::{ACCOUNT}:user/alice"
    resource_policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Principal": {"AWS": alice}, "Action": "s3:*", "Resource": "*"},
        }
    )
    asked = {"actions": ["s3:GetObject"], "ResourcePolicy": resource_policy}
    (named,) = custom(admin, policy(allow("sqs:*")), **asked, CallerArn=alice)
    (other,) = custom(admin, policy(allow("sqs:*")), **asked, CallerArn=alice + "x")
    assert (named["EvalDecision"], other["EvalDecision"]) == ("allowed", "implicitDeny")
    assert named["MatchedStatements"][0]["SourcePolicyType"] == "resource"


def test_additional_policies_count_with_the_principals_own(admin: Caller) -> None:
    denial = policy({"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    (result,) = admin.iam(
        "SimulatePrincipalPolicy", PolicySourceArn=ROLE, ActionNames=["s3:GetObject"], PolicyInputList=[denial]
    )["EvaluationResults"]
    assert result["EvalDecision"] == "explicitDeny"


def test_a_user_can_be_simulated_with_its_name(admin: Caller) -> None:
    user = admin.iam("CreateUser", UserName="alice")["User"]
    document = policy(allow("s3:*", "arn:aws:s3:::home/${aws:username}/*"))
    admin.iam("PutUserPolicy", UserName="alice", PolicyName="home", PolicyDocument=document)
    results = admin.iam(
        "SimulatePrincipalPolicy",
        PolicySourceArn=user["Arn"],
        ActionNames=["s3:GetObject"],
        ResourceArns=["arn:aws:s3:::home/alice/x", "arn:aws:s3:::home/bob/x"],
    )["EvaluationResults"]
    assert [result["EvalDecision"] for result in results] == ["allowed", "implicitDeny"]


def test_results_come_in_pages(admin: Caller) -> None:
    request: dict[str, Any] = {"PolicySourceArn": ROLE, "ActionNames": TRAINING, "MaxItems": 4}
    seen: list[str] = []
    while True:
        page = admin.iam("SimulatePrincipalPolicy", **request)
        seen += [result["EvalActionName"] for result in page["EvaluationResults"]]
        if not page["IsTruncated"]:
            break
        request["Marker"] = page["Marker"]
    assert seen == TRAINING


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/Nobody", "NoSuchEntity"),
        (f"arn:aws:iam::{ACCOUNT}:user/nobody", "NoSuchEntity"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/SageMakerRole/x", "InvalidInput"),
        ("arn:aws:s3:::some-bucket-name", "InvalidInput"),
        ("no arn, twenty characters", "InvalidInput"),
    ],
)
def test_what_is_no_role_or_user_is_refused(admin: Caller, source: str, code: str) -> None:
    error = admin.refused("iam", "SimulatePrincipalPolicy", PolicySourceArn=source, ActionNames=["s3:GetObject"])
    assert error.code == code


def test_what_is_no_action_is_refused(admin: Caller) -> None:
    for action in ("GetObject", "s3:", "s3:Get*"):
        error = admin.refused("iam", "SimulateCustomPolicy", PolicyInputList=[policy(allow("*"))], ActionNames=[action])
        assert (error.code, error.message) == ("InvalidInput", f"Invalid Action Name: {action}")


@pytest.mark.parametrize(
    "action", ["s3:GetObject", "s3:PutObject", "iam:GetRole", "sqs:SendMessage", "logs:PutLogEvents"]
)
def test_a_simulation_and_a_real_request_agree(admin: Caller, served: Served, action: str) -> None:
    (result,) = admin.iam("SimulatePrincipalPolicy", PolicySourceArn=ROLE, ActionNames=[action])["EvaluationResults"]
    job = served.identity.role_session(ROLE, "job", 900).principal
    try:
        served.identity.authorize(job, action, "*")
        really = "allowed"
    except CallerError:
        really = "implicitDeny"
    assert result["EvalDecision"] == really


def test_a_job_may_not_simulate(served: Served) -> None:
    """The SDK tolerates the refusal with a warning."""
    job = served.as_(served.identity.role_session(ROLE, "job", 900).principal)
    error = job.refused("iam", "SimulatePrincipalPolicy", PolicySourceArn=ROLE, ActionNames=["s3:GetObject"])
    assert (error.code, error.status) == ("AccessDenied", 403)
