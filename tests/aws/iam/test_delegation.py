"""Whoever may make users and roles only within a boundary can give nobody more than the boundary allows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.aws.iam.serving import ACCOUNT, Caller, Served

BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/Boundary"
READ_ONLY = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
    }
)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def delegate(admin: Caller, served: Served, *statements: dict[str, Any]) -> Caller:
    admin.iam("CreateUser", UserName="lead")
    admin.iam("PutUserPolicy", UserName="lead", PolicyName="p", PolicyDocument=document(*statements))
    return served.using(admin.iam("CreateAccessKey", UserName="lead")["AccessKey"])


@pytest.fixture
def lead(admin: Caller, served: Served) -> Caller:
    everything = document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    admin.iam("CreatePolicy", PolicyName="Boundary", PolicyDocument=everything)
    actions = ["iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"]
    within = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
    return delegate(admin, served, {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": within})


def test_roles_are_made_within_the_boundary_only(admin: Caller, lead: Caller) -> None:
    error = lead.refused("iam", "CreateRole", RoleName="Free", AssumeRolePolicyDocument=TRUST)
    assert error.code == "AccessDenied"
    lead.iam("CreateRole", RoleName="Bound", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=BOUNDARY)
    lead.iam("AttachRolePolicy", RoleName="Bound", PolicyArn=READ_ONLY)
    other = lead.refused("iam", "PutRolePermissionsBoundary", RoleName="Bound", PermissionsBoundary=READ_ONLY)
    assert other.code == "AccessDenied"
    assert lead.refused("iam", "DeleteRolePermissionsBoundary", RoleName="Bound").code == "AccessDenied"


def test_what_has_no_boundary_is_out_of_reach(admin: Caller, lead: Caller) -> None:
    admin.iam("CreateRole", RoleName="Free", AssumeRolePolicyDocument=TRUST)
    assert lead.refused("iam", "AttachRolePolicy", RoleName="Free", PolicyArn=READ_ONLY).code == "AccessDenied"
    assert lead.refused("iam", "AttachRolePolicy", RoleName="Missing", PolicyArn=READ_ONLY).code == "AccessDenied"


def test_only_the_named_policies_are_attached(admin: Caller, served: Served) -> None:
    only = {"ArnEquals": {"iam:PolicyARN": READ_ONLY}}
    lead = delegate(admin, served, {"Effect": "Allow", "Action": "iam:Attach*", "Resource": "*", "Condition": only})
    lead.iam("AttachUserPolicy", UserName="lead", PolicyArn=READ_ONLY)
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert lead.refused("iam", "AttachUserPolicy", UserName="lead", PolicyArn=administrator).code == "AccessDenied"
