"""Conformance cases of the corners: patterns that AWS's example policies use, missing keys, kinds of policy together.

Written before the evaluator ran them. A ``page`` without a slash is one of the IAM User Guide, as in ``cases.py``;
one with a slash is the path below docs.aws.amazon.com.
"""

from __future__ import annotations

from typing import Any

from tests.substrate.identity.policy.cases import (
    ACCOUNT,
    ALICE,
    ALLOWED,
    BOUNDARY,
    EXPLICIT,
    IMPLICIT,
    MANY_CONDITIONS,
    MANY_VALUES,
    NOT_ACTION,
    NOT_PRINCIPAL,
    NOT_RESOURCE,
    OPERATORS,
    PRINCIPAL,
    RESOURCE,
    ROLE,
    ROOT,
    SAME_ACCOUNT,
    SESSION,
    VARIABLES,
    Case,
    allow,
    deny,
    to,
    when,
)

TAGS = "access_tags"
ABAC = "tutorial_attribute-based-access-control"
PASS_ROLE = "id_roles_use_passrole"
KEYS = "reference_policies_condition-keys"
DENY_REGION = "reference_policies_examples_aws_deny-requested-region"
DENY_IP = "reference_policies_examples_aws_deny-ip"
OWN_CREDENTIALS = "reference_policies_examples_aws_my-sec-creds-self-manage"
HOME = "reference_policies_examples_s3_home-directory-console"
DATES = "reference_policies_examples_aws-dates"
SAGEMAKER = "sagemaker/latest/dg/security_iam_id-based-policy-examples"
WARM_POOLS = "sagemaker/latest/dg/train-warm-pools"

JOB = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/team-a-1"
CREATE: dict[str, Any] = {"action": "sagemaker:CreateTrainingJob", "resource": JOB}
PASSED = "iam:PassedToService"


def denied_when(operator: str, key: str, value: Any, **more: Any) -> list[dict[str, Any]]:
    """Everything is allowed but under one condition."""
    return [allow(), deny(Condition={operator: {key: value}}, **more)]


MISSING_KEYS = [
    Case(
        "IfExists with a set operator holds without its key",
        OPERATORS,
        ALLOWED,
        when("ForAnyValue:StringEqualsIfExists", "k:a", "x"),
    ),
    Case(
        "ForAllValues with IfExists holds without its key",
        OPERATORS,
        ALLOWED,
        when("ForAllValues:StringEqualsIfExists", "k:a", "x"),
    ),
    Case(
        "ForAnyValue with IfExists compares when it is there",
        OPERATORS,
        IMPLICIT,
        when("ForAnyValue:StringEqualsIfExists", "k:a", "x"),
        context={"k:a": ["y", "z"]},
    ),
    Case(
        "a deny with ForAllValues denies without its key",
        MANY_VALUES,
        EXPLICIT,
        denied_when("ForAllValues:StringEquals", "k:a", "x"),
    ),
    Case(
        "a deny with ForAnyValue denies nothing without its key",
        MANY_VALUES,
        ALLOWED,
        denied_when("ForAnyValue:StringEquals", "k:a", "x"),
    ),
    Case(
        "a deny with ForAllValues is held back by Null",
        MANY_VALUES,
        ALLOWED,
        [allow(), deny(Condition={"ForAllValues:StringEquals": {"k:a": "x"}, "Null": {"k:a": "false"}})],
    ),
    Case(
        "ForAllValues is true of an empty set",
        MANY_VALUES,
        ALLOWED,
        when("ForAllValues:StringEquals", "k:a", "x"),
        context={"k:a": []},
    ),
    Case(
        "ForAnyValue is false of an empty set",
        MANY_VALUES,
        IMPLICIT,
        when("ForAnyValue:StringLike", "k:a", "*"),
        context={"k:a": []},
    ),
    Case("a deny unless a tag is given", TAGS, EXPLICIT, denied_when("Null", "aws:RequestTag/team", "true")),
    Case(
        "a deny unless a tag is given, and it is",
        TAGS,
        ALLOWED,
        denied_when("Null", "aws:RequestTag/team", "true"),
        context={"aws:RequestTag/team": "a"},
    ),
    Case(
        "Null with an empty value: the key is there",
        OPERATORS,
        ALLOWED,
        when("Null", "aws:RequestTag/team", "false"),
        context={"aws:RequestTag/team": ""},
    ),
    Case("NotIpAddress holds without its key", OPERATORS, ALLOWED, when("NotIpAddress", "aws:SourceIp", "10.0.0.0/8")),
    Case(
        "ArnNotLike holds without its key",
        OPERATORS,
        ALLOWED,
        when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/x"),
    ),
    Case(
        "DateNotEquals holds without its key", OPERATORS, ALLOWED, when("DateNotEquals", "k:a", "2026-01-01T00:00:00Z")
    ),
    Case("BinaryEquals fails without its key", OPERATORS, IMPLICIT, when("BinaryEquals", "k:a", "QUJD")),
    Case(
        "NumericLessThanIfExists holds without its key", OPERATORS, ALLOWED, when("NumericLessThanIfExists", "k:a", "5")
    ),
    Case(
        "StringNotEqualsIfExists holds without its key", OPERATORS, ALLOWED, when("StringNotEqualsIfExists", "k:a", "x")
    ),
    Case(
        "StringNotEqualsIfExists compares when it is there",
        OPERATORS,
        IMPLICIT,
        when("StringNotEqualsIfExists", "k:a", "x"),
        context={"k:a": "x"},
    ),
    Case(
        "one key missing of two",
        MANY_CONDITIONS,
        IMPLICIT,
        [allow(Condition={"StringEquals": {"k:a": "x", "k:b": "y"}})],
        context={"k:a": "x"},
    ),
]

VALUES = [
    Case(
        "numbers between",
        OPERATORS,
        ALLOWED,
        [allow(Condition={"NumericGreaterThan": {"k:a": "1"}, "NumericLessThanEquals": {"k:a": "3"}})],
        context={"k:a": "3"},
    ),
    Case("a decimal number", OPERATORS, ALLOWED, when("NumericLessThan", "k:a", "0.5"), context={"k:a": "0.25"}),
    Case("a negative number", OPERATORS, ALLOWED, when("NumericLessThan", "k:a", "0"), context={"k:a": "-1"}),
    Case(
        "NumericEquals of several",
        MANY_CONDITIONS,
        ALLOWED,
        when("NumericEquals", "k:a", ["1", "2"]),
        context={"k:a": "2"},
    ),
    Case(
        "NumericNotEquals of several",
        MANY_CONDITIONS,
        IMPLICIT,
        when("NumericNotEquals", "k:a", ["1", "2"]),
        context={"k:a": "2"},
    ),
    Case(
        "DateGreaterThanEquals at the instant",
        DATES,
        ALLOWED,
        when("DateGreaterThanEquals", "aws:CurrentTime", "2026-01-01T00:00:00Z"),
        context={"aws:CurrentTime": "2026-01-01T00:00:00Z"},
    ),
    Case(
        "between two dates",
        DATES,
        IMPLICIT,
        [
            allow(
                Condition={
                    "DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
                    "DateLessThan": {"aws:CurrentTime": "2026-02-01T00:00:00Z"},
                }
            )
        ],
        context={"aws:CurrentTime": "2026-02-01T00:00:01Z"},
    ),
    Case(
        "a date of the policy in epoch seconds",
        OPERATORS,
        ALLOWED,
        when("DateLessThan", "aws:CurrentTime", "1800000000"),
        context={"aws:CurrentTime": "2026-01-01T00:00:00Z"},
    ),
    Case(
        "epoch times",
        KEYS,
        ALLOWED,
        when("NumericGreaterThan", "aws:EpochTime", "1700000000"),
        context={"aws:EpochTime": "1700000001"},
    ),
    Case(
        "Bool false",
        OPERATORS,
        ALLOWED,
        when("Bool", "aws:SecureTransport", "false"),
        context={"aws:SecureTransport": "false"},
    ),
    Case(
        "Bool of something else",
        OPERATORS,
        IMPLICIT,
        when("Bool", "aws:SecureTransport", "true"),
        context={"aws:SecureTransport": "yes"},
    ),
    Case(
        "one of several networks",
        OPERATORS,
        ALLOWED,
        when("IpAddress", "aws:SourceIp", ["10.0.0.0/8", "192.0.2.0/24"]),
        context={"aws:SourceIp": "192.0.2.9"},
    ),
    Case(
        "IPv6 in its shortened form",
        OPERATORS,
        ALLOWED,
        when("IpAddress", "aws:SourceIp", "2001:db8:1234:5678::/64"),
        context={"aws:SourceIp": "2001:0db8:1234:5678:0000:0000:0000:0001"},
    ),
    Case(
        "IPv6 outside",
        OPERATORS,
        IMPLICIT,
        when("IpAddress", "aws:SourceIp", "2001:db8:1234:5678::/64"),
        context={"aws:SourceIp": "2001:db8:1234:5679::1"},
    ),
    Case(
        "IPv4 beside IPv6",
        OPERATORS,
        ALLOWED,
        when("IpAddress", "aws:SourceIp", ["203.0.113.0/24", "2001:db8::/32"]),
        context={"aws:SourceIp": "2001:db8::7"},
    ),
    Case(
        "no address is in no network",
        OPERATORS,
        IMPLICIT,
        when("IpAddress", "aws:SourceIp", "0.0.0.0/0"),
        context={"aws:SourceIp": "nonsense"},
    ),
    Case("a question mark in StringLike", OPERATORS, IMPLICIT, when("StringLike", "k:a", "a?c"), context={"k:a": "ac"}),
    Case(
        "ArnLike with a question mark",
        OPERATORS,
        ALLOWED,
        when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/Work?r"),
        context={"aws:PrincipalArn": ROLE},
    ),
    Case(
        "ArnLike with a star for the account",
        OPERATORS,
        ALLOWED,
        when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/Worker"),
        context={"aws:PrincipalArn": ROLE},
    ),
    Case(
        "ArnLike of what is no ARN",
        OPERATORS,
        IMPLICIT,
        when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*"),
        context={"aws:PrincipalArn": "Worker"},
    ),
    Case(
        "the star of ArnLike's last part crosses slashes",
        OPERATORS,
        ALLOWED,
        when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/*"),
        context={"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/a/b"},
    ),
]

PATTERNS = [
    Case(
        "a name's prefix",
        RESOURCE,
        ALLOWED,
        [allow(resource=f"arn:aws:sagemaker:*:{ACCOUNT}:training-job/team-a-*")],
        **CREATE,
    ),
    Case(
        "another name's prefix",
        RESOURCE,
        IMPLICIT,
        [allow(resource=f"arn:aws:sagemaker:*:{ACCOUNT}:training-job/team-b-*")],
        **CREATE,
    ),
    Case(
        "a star within a segment",
        RESOURCE,
        ALLOWED,
        [allow(resource="arn:aws:sagemaker:us-*-1:*:training-job/*")],
        **CREATE,
    ),
    Case("another region", RESOURCE, IMPLICIT, [allow(resource="arn:aws:sagemaker:eu-*:*:training-job/*")], **CREATE),
    Case(
        "another account",
        RESOURCE,
        IMPLICIT,
        [allow(resource="arn:aws:sagemaker:*:999999999999:training-job/*")],
        **CREATE,
    ),
    Case("another type of resource", RESOURCE, IMPLICIT, [allow(resource="arn:aws:sagemaker:*:*:model/*")], **CREATE),
    Case(
        "a question mark for a slash",
        RESOURCE,
        ALLOWED,
        [allow(resource="arn:aws:sagemaker:*:*:training-job?team-a-1")],
        **CREATE,
    ),
    Case(
        "NotAction and NotResource together",
        NOT_ACTION,
        IMPLICIT,
        [{"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::data/*"}],
    ),
    Case(
        "NotResource with several",
        NOT_RESOURCE,
        EXPLICIT,
        [allow(), {"Effect": "Deny", "Action": "s3:*", "NotResource": ["arn:aws:s3:::other", "arn:aws:s3:::other/*"]}],
    ),
    Case(
        "NotResource does not reach other actions",
        NOT_RESOURCE,
        ALLOWED,
        [allow(), {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"}],
        **CREATE,
    ),
]

EXAMPLES = [
    Case(
        "all but oneself without MFA: the key is missing",
        OWN_CREDENTIALS,
        EXPLICIT,
        [
            allow(),
            {
                "Effect": "Deny",
                "NotAction": ["iam:*", "sts:GetSessionToken"],
                "Resource": "*",
                "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
            },
        ],
    ),
    Case(
        "all but oneself without MFA: what is spared",
        OWN_CREDENTIALS,
        ALLOWED,
        [
            allow(),
            {
                "Effect": "Deny",
                "NotAction": ["iam:*"],
                "Resource": "*",
                "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
            },
        ],
        action="iam:GetUser",
        resource=ALICE,
    ),
    Case(
        "outside the approved regions",
        DENY_REGION,
        EXPLICIT,
        denied_when("StringNotEquals", "aws:RequestedRegion", ["eu-west-1", "eu-central-1"]),
        context={"aws:RequestedRegion": "us-east-1"},
    ),
    Case(
        "within the approved regions",
        DENY_REGION,
        ALLOWED,
        denied_when("StringNotEquals", "aws:RequestedRegion", ["us-east-1"]),
        context={"aws:RequestedRegion": "us-east-1"},
    ),
    Case(
        "outside the office, by a service",
        DENY_IP,
        ALLOWED,
        [
            allow(),
            deny(Condition={"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "Bool": {"aws:ViaAWSService": "false"}}),
        ],
        context={"aws:SourceIp": "198.51.100.1", "aws:ViaAWSService": "true"},
    ),
    Case(
        "outside the office",
        DENY_IP,
        EXPLICIT,
        [
            allow(),
            deny(Condition={"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "Bool": {"aws:ViaAWSService": "false"}}),
        ],
        context={"aws:SourceIp": "198.51.100.1", "aws:ViaAWSService": "false"},
    ),
    Case(
        "a home directory",
        HOME,
        ALLOWED,
        [allow("s3:*", "arn:aws:s3:::data/home/${aws:username}/*")],
        resource="arn:aws:s3:::data/home/alice/x",
        context={"aws:username": "alice"},
    ),
    Case(
        "listing one's home directory",
        HOME,
        IMPLICIT,
        [
            allow(
                "s3:ListBucket",
                "arn:aws:s3:::data",
                Condition={"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/*"]}},
            )
        ],
        action="s3:ListBucket",
        resource="arn:aws:s3:::data",
        context={"aws:username": "alice", "s3:prefix": "home/bob/"},
    ),
    Case(
        "the listed tag keys only",
        TAGS,
        IMPLICIT,
        when("ForAllValues:StringEquals", "aws:TagKeys", ["team", "cost"]),
        context={"aws:TagKeys": ["team", "owner"]},
    ),
    Case(
        "a tag's value",
        TAGS,
        ALLOWED,
        when("StringEquals", "aws:ResourceTag/Team", "red"),
        context={"aws:ResourceTag/team": "red"},
    ),
    Case(
        "a tag's value is case-sensitive",
        TAGS,
        IMPLICIT,
        when("StringEquals", "aws:ResourceTag/Team", "red"),
        context={"aws:ResourceTag/team": "Red"},
    ),
    Case(
        "the same tag on both sides",
        ABAC,
        ALLOWED,
        when("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
        context={"aws:ResourceTag/team": "red", "aws:PrincipalTag/team": "red"},
    ),
    Case(
        "different tags",
        ABAC,
        IMPLICIT,
        when("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
        context={"aws:ResourceTag/team": "red", "aws:PrincipalTag/team": "blue"},
    ),
    Case(
        "no tag on either side is no match",
        ABAC,
        IMPLICIT,
        when("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
    ),
    Case(
        "a default where the principal has no tag",
        VARIABLES,
        ALLOWED,
        when("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team, 'company-wide'}"),
        context={"aws:ResourceTag/team": "company-wide"},
    ),
    Case(
        "a default in a resource",
        VARIABLES,
        ALLOWED,
        [allow(resource="arn:aws:s3:::data/${aws:PrincipalTag/team, 'shared'}/*")],
        resource="arn:aws:s3:::data/shared/x",
    ),
    Case(
        "passing a role to the service",
        PASS_ROLE,
        ALLOWED,
        [allow("iam:PassRole", ROLE, Condition={"StringEquals": {PASSED: "sagemaker.amazonaws.com"}})],
        action="iam:PassRole",
        resource=ROLE,
        context={PASSED: "sagemaker.amazonaws.com"},
    ),
    Case(
        "passing a role to another service",
        PASS_ROLE,
        IMPLICIT,
        [allow("iam:PassRole", ROLE, Condition={"StringEquals": {PASSED: "sagemaker.amazonaws.com"}})],
        action="iam:PassRole",
        resource=ROLE,
        context={PASSED: "ec2.amazonaws.com"},
    ),
    Case(
        "passing a role for one resource",
        PASS_ROLE,
        ALLOWED,
        [
            allow(
                "iam:PassRole",
                ROLE,
                Condition={"ArnLike": {"iam:AssociatedResourceARN": "arn:aws:sagemaker:*:*:training-job/team-a-*"}},
            )
        ],
        action="iam:PassRole",
        resource=ROLE,
        context={"iam:AssociatedResourceArn": JOB},
    ),
    Case(
        "instance types: all listed",
        SAGEMAKER,
        ALLOWED,
        when("ForAllValues:StringLike", "sagemaker:InstanceTypes", ["ml.m5.*", "ml.t3.*"]),
        context={"sagemaker:InstanceTypes": ["ml.m5.large", "ml.t3.medium"]},
        **CREATE,
    ),
    Case(
        "instance types: one too large",
        SAGEMAKER,
        IMPLICIT,
        when("ForAllValues:StringLike", "sagemaker:InstanceTypes", ["ml.m5.*"]),
        context={"sagemaker:InstanceTypes": ["ml.m5.large", "ml.p5.48xlarge"]},
        **CREATE,
    ),
    Case(
        "jobs without subnets are denied",
        SAGEMAKER,
        EXPLICIT,
        denied_when("Null", "sagemaker:VpcSubnets", "true"),
        **CREATE,
    ),
    Case(
        "jobs with the right subnets",
        SAGEMAKER,
        ALLOWED,
        when("ForAllValues:StringEquals", "sagemaker:VpcSubnets", ["subnet-1", "subnet-2"]),
        context={"sagemaker:VpcSubnets": ["subnet-2"]},
        **CREATE,
    ),
    Case(
        "an encrypted volume",
        SAGEMAKER,
        ALLOWED,
        when("ArnEquals", "sagemaker:VolumeKmsKey", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/*"),
        context={"sagemaker:VolumeKmsKey": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k-1"},
        **CREATE,
    ),
    Case(
        "network isolation",
        SAGEMAKER,
        IMPLICIT,
        when("Bool", "sagemaker:NetworkIsolation", "true"),
        context={"sagemaker:NetworkIsolation": False},
        **CREATE,
    ),
    Case(
        "a warm pool kept too long",
        WARM_POOLS,
        IMPLICIT,
        when("NumericLessThanEquals", "sagemaker:KeepAlivePeriod", "3600"),
        context={"sagemaker:KeepAlivePeriod": 3601},
        **CREATE,
    ),
    Case(
        "no warm pool asked for",
        WARM_POOLS,
        ALLOWED,
        when("NumericLessThanEqualsIfExists", "sagemaker:KeepAlivePeriod", 3600),
        **CREATE,
    ),
]

TOGETHER = [
    Case(
        "identity, boundary and session all allow",
        SAME_ACCOUNT,
        ALLOWED,
        [allow()],
        boundary=[allow("s3:*")],
        session=[allow("s3:GetObject")],
        caller="session",
    ),
    Case(
        "identity and boundary allow, the session does not",
        SAME_ACCOUNT,
        IMPLICIT,
        [allow()],
        boundary=[allow("s3:*")],
        session=[allow("s3:PutObject")],
        caller="session",
    ),
    Case(
        "identity and session allow, the boundary does not",
        SAME_ACCOUNT,
        IMPLICIT,
        [allow()],
        boundary=[allow("sqs:*")],
        session=[allow()],
        caller="session",
    ),
    Case(
        "a role's deny overrides a resource policy that names the session",
        SAME_ACCOUNT,
        EXPLICIT,
        [deny("s3:GetObject")],
        resource_policy=to({"AWS": SESSION}),
        caller="session",
    ),
    Case(
        "a session's deny overrides a resource policy that names the session",
        SAME_ACCOUNT,
        EXPLICIT,
        [allow()],
        session=[deny("s3:*")],
        resource_policy=to({"AWS": SESSION}),
        caller="session",
    ),
    Case(
        "a user's deny overrides a resource policy that names the user",
        SAME_ACCOUNT,
        EXPLICIT,
        [deny("s3:*")],
        resource_policy=to({"AWS": ALICE}),
    ),
    Case(
        "naming the role, and boundary and session allow",
        SAME_ACCOUNT,
        ALLOWED,
        boundary=[allow("s3:*")],
        session=[allow("s3:*")],
        resource_policy=to({"AWS": ROLE}),
        caller="session",
    ),
    Case(
        "naming the account leaves the boundary in force",
        BOUNDARY,
        IMPLICIT,
        [allow()],
        boundary=[allow("sqs:*")],
        resource_policy=to({"AWS": ROOT}),
    ),
    Case(
        "naming the account leaves the session policy in force",
        SAME_ACCOUNT,
        IMPLICIT,
        [allow()],
        session=[allow("sqs:*")],
        resource_policy=to({"AWS": ROOT}),
        caller="session",
    ),
    Case(
        "a resource policy denies everyone",
        SAME_ACCOUNT,
        EXPLICIT,
        [allow()],
        boundary=[allow()],
        session=[allow()],
        resource_policy=to("*", effect="Deny"),
        caller="session",
    ),
    Case(
        "a resource policy's allow and deny",
        SAME_ACCOUNT,
        EXPLICIT,
        [allow()],
        resource_policy=[*to({"AWS": ALICE}), *to({"AWS": ROOT}, effect="Deny")],
    ),
    Case(
        "everyone, with a condition that fails, and no policy of one's own",
        PRINCIPAL,
        IMPLICIT,
        resource_policy=to("*", Condition={"StringEquals": {"aws:PrincipalAccount": "999999999999"}}),
        context={"aws:PrincipalAccount": ACCOUNT},
    ),
    Case(
        "NotPrincipal: the role alone does not spare its session",
        NOT_PRINCIPAL,
        EXPLICIT,
        [allow()],
        resource_policy=[{"Effect": "Deny", "NotPrincipal": {"AWS": [ROLE, ROOT]}, "Action": "*", "Resource": "*"}],
        caller="session",
    ),
    Case(
        "NotPrincipal: the user without the account is not spared",
        NOT_PRINCIPAL,
        EXPLICIT,
        [allow()],
        resource_policy=[{"Effect": "Deny", "NotPrincipal": {"AWS": [ALICE]}, "Action": "*", "Resource": "*"}],
    ),
    Case("an account id is the account", PRINCIPAL, ALLOWED, [allow()], resource_policy=to({"AWS": ACCOUNT})),
    Case(
        "one of several principals",
        PRINCIPAL,
        ALLOWED,
        resource_policy=to({"AWS": [f"arn:aws:iam::{ACCOUNT}:user/bob", ALICE]}),
    ),
]

FURTHER = [*MISSING_KEYS, *VALUES, *PATTERNS, *EXAMPLES, *TOGETHER]
