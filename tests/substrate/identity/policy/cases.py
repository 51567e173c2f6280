"""Conformance cases: requests, policies, and the answers that AWS's documentation gives.

``page`` names the page of the IAM User Guide (docs.aws.amazon.com/IAM/latest/UserGuide/<page>.html) that the expected
answer was written from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ALLOWED, IMPLICIT, EXPLICIT = "allowed", "implicitDeny", "explicitDeny"

ACCOUNT = "123456789012"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Worker"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/Worker/job-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
OBJECT = "arn:aws:s3:::data/train/part-1.csv"

LOGIC = "reference_policies_evaluation-logic"
SAME_ACCOUNT = "reference_policies_evaluation-logic_policy-eval-basics-single-account"
ACTION = "reference_policies_elements_action"
NOT_ACTION = "reference_policies_elements_notaction"
RESOURCE = "reference_policies_elements_resource"
NOT_RESOURCE = "reference_policies_elements_notresource"
PRINCIPAL = "reference_policies_elements_principal"
NOT_PRINCIPAL = "reference_policies_elements_notprincipal"
OPERATORS = "reference_policies_elements_condition_operators"
MANY_VALUES = "reference_policies_condition-single-vs-multi-valued-context-keys"
MANY_CONDITIONS = "reference_policies_condition-logic-multiple-context-keys-or-values"
CONDITION = "reference_policies_elements_condition"
VARIABLES = "reference_policies_variables"
VERSION = "reference_policies_elements_version"
BOUNDARY = "access_policies_boundaries"
SESSION_POLICY = "access_policies"

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A request and what is to come of it. ``identity`` None means no identity policy at all."""

    name: str
    page: str
    expected: str
    identity: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    session: Sequence[Statement] | None = None
    resource_policy: Sequence[Statement] = ()
    action: str = "s3:GetObject"
    resource: str = OBJECT
    context: Mapping[str, Any] = field(default_factory=dict)
    caller: str = "user"
    version: str = "2012-10-17"


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def when(operator: str, key: str, value: Any) -> list[dict[str, Any]]:
    """One statement that allows everything under one condition."""
    return [allow(Condition={operator: {key: value}})]


def to(principal: Any, effect: str = "Allow", **more: Any) -> list[dict[str, Any]]:
    """One statement of a resource policy."""
    return [{"Effect": effect, "Principal": principal, "Action": "*", "Resource": "*", **more}]


BASICS = [
    Case("nothing is allowed by default", LOGIC, IMPLICIT),
    Case("an allow grants", LOGIC, ALLOWED, [allow()]),
    Case("an explicit deny overrides an allow", LOGIC, EXPLICIT, [allow(), deny("s3:GetObject")]),
    Case("the order of statements does not matter", LOGIC, EXPLICIT, [deny("s3:GetObject"), allow()]),
    Case("a deny of something else does not matter", LOGIC, ALLOWED, [allow(), deny("s3:PutObject")]),
    Case("any of several statements may grant", LOGIC, ALLOWED, [allow("s3:PutObject"), allow("s3:GetObject")]),
    Case("actions are not case-sensitive", ACTION, ALLOWED, [allow("S3:getobject")]),
    Case("one of several actions matches", ACTION, ALLOWED, [allow(["s3:PutObject", "s3:GetObject"])]),
    Case("a star in an action is any characters", ACTION, ALLOWED, [allow("s3:Get*")]),
    Case("a star stands within an action", ACTION, ALLOWED, [allow("s3:*Object")]),
    Case("a star stands for no character too", ACTION, ALLOWED, [allow("s3:GetObject*")]),
    Case("a question mark is one character", ACTION, ALLOWED, [allow("s3:?etObject")]),
    Case("a question mark is exactly one character", ACTION, IMPLICIT, [allow("s3:GetObject?")]),
    Case("a service's star does not reach another", ACTION, IMPLICIT, [allow("sqs:*")]),
    Case("an action without its service prefix's end", ACTION, IMPLICIT, [allow("s3:GetObjec")]),
    Case(
        "NotAction with Allow grants the others",
        NOT_ACTION,
        ALLOWED,
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
    ),
    Case(
        "NotAction with Allow does not grant those listed",
        NOT_ACTION,
        IMPLICIT,
        [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}],
    ),
    Case(
        "NotAction with Deny denies the others",
        NOT_ACTION,
        EXPLICIT,
        [allow(), {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}],
    ),
    Case(
        "NotAction with Deny leaves those listed to others",
        NOT_ACTION,
        ALLOWED,
        [allow(), {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}],
    ),
]

RESOURCES = [
    Case("a whole ARN", RESOURCE, ALLOWED, [allow(resource=OBJECT)]),
    Case("resources are case-sensitive", RESOURCE, IMPLICIT, [allow(resource=OBJECT.replace("train", "Train"))]),
    Case("a star at the end", RESOURCE, ALLOWED, [allow(resource="arn:aws:s3:::data/*")]),
    Case("a star crosses slashes", RESOURCE, ALLOWED, [allow(resource="arn:aws:s3:::data/*.csv")]),
    Case("a bucket is not its objects", RESOURCE, IMPLICIT, [allow(resource="arn:aws:s3:::data")]),
    Case("a prefix does not name a longer bucket", RESOURCE, IMPLICIT, [allow(resource="arn:aws:s3:::dat/*")]),
    Case("question marks", RESOURCE, ALLOWED, [allow(resource="arn:aws:s3:::d??a/train/part-?.csv")]),
    Case(
        "a star for region and account",
        RESOURCE,
        ALLOWED,
        [allow(resource="arn:aws:sagemaker:*:*:training-job/x-*")],
        action="sagemaker:CreateTrainingJob",
        resource=f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/x-1",
    ),
    Case(
        "a star at the end of a segment crosses colons",
        RESOURCE,
        ALLOWED,
        [allow(resource="arn:aws:sagemaker:*")],
        action="sagemaker:CreateTrainingJob",
        resource=f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/x-1",
    ),
    Case(
        "an action on no resource in particular needs a star",
        RESOURCE,
        IMPLICIT,
        [allow(resource="arn:aws:s3:::*")],
        action="s3:ListAllMyBuckets",
        resource="*",
    ),
    Case(
        "NotResource with Allow grants the others",
        NOT_RESOURCE,
        ALLOWED,
        [{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::secret/*"}],
    ),
    Case(
        "NotResource with Deny denies the others",
        NOT_RESOURCE,
        EXPLICIT,
        [allow(), {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::other/*"}],
    ),
    Case(
        "NotResource with Deny leaves those listed",
        NOT_RESOURCE,
        ALLOWED,
        [allow(), {"Effect": "Deny", "Action": "*", "NotResource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"]}],
    ),
]

STRINGS = [
    Case("equal", OPERATORS, ALLOWED, when("StringEquals", "k:a", "x"), context={"k:a": "x"}),
    Case("equality is case-sensitive", OPERATORS, IMPLICIT, when("StringEquals", "k:a", "X"), context={"k:a": "x"}),
    Case("key names are not", CONDITION, ALLOWED, when("StringEquals", "K:A", "x"), context={"k:a": "x"}),
    Case("operators are not", OPERATORS, ALLOWED, when("stringequals", "k:a", "x"), context={"k:a": "x"}),
    Case(
        "any of the policy's values",
        MANY_CONDITIONS,
        ALLOWED,
        when("StringEquals", "k:a", ["y", "x"]),
        context={"k:a": "x"},
    ),
    Case(
        "none of the policy's values for negated operators",
        MANY_CONDITIONS,
        IMPLICIT,
        when("StringNotEquals", "k:a", ["y", "x"]),
        context={"k:a": "x"},
    ),
    Case(
        "a star is no wildcard for equality",
        OPERATORS,
        IMPLICIT,
        when("StringEquals", "k:a", "x*"),
        context={"k:a": "xy"},
    ),
    Case(
        "ignoring case",
        OPERATORS,
        ALLOWED,
        when("StringEqualsIgnoreCase", "k:a", "ABC"),
        context={"k:a": "abC"},
    ),
    Case(
        "not equal, ignoring case",
        OPERATORS,
        IMPLICIT,
        when("StringNotEqualsIgnoreCase", "k:a", "ABC"),
        context={"k:a": "abC"},
    ),
    Case("like", OPERATORS, ALLOWED, when("StringLike", "k:a", "a*c?"), context={"k:a": "abbcd"}),
    Case("like is case-sensitive", OPERATORS, IMPLICIT, when("StringLike", "k:a", "A*"), context={"k:a": "abc"}),
    Case("not like", OPERATORS, IMPLICIT, when("StringNotLike", "k:a", "a*"), context={"k:a": "abc"}),
    Case("a positive operator needs its key", OPERATORS, IMPLICIT, when("StringEquals", "k:a", "x")),
    Case("a negated operator holds without its key", OPERATORS, ALLOWED, when("StringNotEquals", "k:a", "x")),
    Case("StringNotLike holds without its key", OPERATORS, ALLOWED, when("StringNotLike", "k:a", "x*")),
    Case("IfExists holds without its key", OPERATORS, ALLOWED, when("StringEqualsIfExists", "k:a", "x")),
    Case(
        "IfExists compares when it is there",
        OPERATORS,
        IMPLICIT,
        when("StringEqualsIfExists", "k:a", "x"),
        context={"k:a": "y"},
    ),
    Case(
        "all operators must hold",
        MANY_CONDITIONS,
        IMPLICIT,
        [allow(Condition={"StringEquals": {"k:a": "x"}, "Bool": {"k:b": "true"}})],
        context={"k:a": "x", "k:b": "false"},
    ),
    Case(
        "all keys of an operator must hold",
        MANY_CONDITIONS,
        IMPLICIT,
        [allow(Condition={"StringEquals": {"k:a": "x", "k:b": "y"}})],
        context={"k:a": "x"},
    ),
    Case(
        "a deny whose condition fails does not deny",
        CONDITION,
        ALLOWED,
        [allow(), deny(Condition={"StringEquals": {"k:a": "x"}})],
        context={"k:a": "y"},
    ),
    Case(
        "a deny with a negated operator denies without its key",
        OPERATORS,
        EXPLICIT,
        [allow(), deny(Condition={"StringNotEquals": {"aws:PrincipalTag/team": "ml"}})],
    ),
]

OTHER_OPERATORS = [
    Case("numbers equal by value", OPERATORS, ALLOWED, when("NumericEquals", "k:n", "10"), context={"k:n": "10.0"}),
    Case(
        "a JSON number in the policy",
        OPERATORS,
        ALLOWED,
        when("NumericLessThanEquals", "k:n", 10),
        context={"k:n": "10"},
    ),
    Case("less than", OPERATORS, IMPLICIT, when("NumericLessThan", "k:n", "10"), context={"k:n": "10"}),
    Case(
        "numbers do not compare as text",
        OPERATORS,
        ALLOWED,
        when("NumericGreaterThan", "k:n", "9"),
        context={"k:n": "10"},
    ),
    Case("greater or equal", OPERATORS, ALLOWED, when("NumericGreaterThanEquals", "k:n", "10"), context={"k:n": "10"}),
    Case("not a number", OPERATORS, IMPLICIT, when("NumericEquals", "k:n", "10"), context={"k:n": "ten"}),
    Case("NumericNotEquals without its key", OPERATORS, ALLOWED, when("NumericNotEquals", "k:n", "10")),
    Case("NumericLessThan without its key", OPERATORS, IMPLICIT, when("NumericLessThan", "k:n", "10")),
    Case(
        "before a date",
        OPERATORS,
        ALLOWED,
        when("DateLessThan", "aws:CurrentTime", "2030-01-01T00:00:00Z"),
        context={"aws:CurrentTime": "2026-05-01T12:00:00Z"},
    ),
    Case(
        "after a date",
        OPERATORS,
        IMPLICIT,
        when("DateGreaterThan", "aws:CurrentTime", "2030-01-01T00:00:00Z"),
        context={"aws:CurrentTime": "2026-05-01T12:00:00Z"},
    ),
    Case(
        "dates in different zones",
        OPERATORS,
        ALLOWED,
        when("DateEquals", "k:d", "2026-05-01T14:00:00+02:00"),
        context={"k:d": "2026-05-01T12:00:00Z"},
    ),
    Case(
        "a date as epoch seconds",
        OPERATORS,
        ALLOWED,
        when("DateGreaterThanEquals", "aws:EpochTime", "2020-01-01T00:00:00Z"),
        context={"aws:EpochTime": "1600000000"},
    ),
    Case(
        "a date without time",
        OPERATORS,
        ALLOWED,
        when("DateLessThan", "k:d", "2026-05-02"),
        context={"k:d": "2026-05-01T23:59:59Z"},
    ),
    Case(
        "a year alone",
        OPERATORS,
        ALLOWED,
        when("DateGreaterThan", "k:d", "2025"),
        context={"k:d": "2025-01-02T00:00:00Z"},
    ),
    Case(
        "true", OPERATORS, ALLOWED, when("Bool", "aws:SecureTransport", "true"), context={"aws:SecureTransport": "true"}
    ),
    Case("a JSON boolean in the policy", OPERATORS, ALLOWED, when("Bool", "k:b", False), context={"k:b": "false"}),
    Case("Bool without its key", OPERATORS, IMPLICIT, when("Bool", "aws:MultiFactorAuthPresent", "true")),
    Case(
        "BoolIfExists without its key", OPERATORS, ALLOWED, when("BoolIfExists", "aws:MultiFactorAuthPresent", "true")
    ),
    Case("binary", OPERATORS, ALLOWED, when("BinaryEquals", "k:x", "QmluYXJ5"), context={"k:x": "QmluYXJ5"}),
    Case("another binary", OPERATORS, IMPLICIT, when("BinaryEquals", "k:x", "QmluYXJ5"), context={"k:x": "QmluYXJ4"}),
    Case(
        "in a network",
        OPERATORS,
        ALLOWED,
        when("IpAddress", "aws:SourceIp", "203.0.113.0/24"),
        context={"aws:SourceIp": "203.0.113.7"},
    ),
    Case(
        "outside a network",
        OPERATORS,
        IMPLICIT,
        when("IpAddress", "aws:SourceIp", "203.0.113.0/24"),
        context={"aws:SourceIp": "203.0.114.7"},
    ),
    Case(
        "an address is a network of one",
        OPERATORS,
        ALLOWED,
        when("IpAddress", "aws:SourceIp", "203.0.113.7"),
        context={"aws:SourceIp": "203.0.113.7"},
    ),
    Case(
        "IPv6",
        OPERATORS,
        ALLOWED,
        when("IpAddress", "aws:SourceIp", "2001:db8:1234::/48"),
        context={"aws:SourceIp": "2001:db8:1234:5::1"},
    ),
    Case(
        "not in a network",
        OPERATORS,
        ALLOWED,
        when("NotIpAddress", "aws:SourceIp", "10.0.0.0/8"),
        context={"aws:SourceIp": "203.0.113.7"},
    ),
    Case(
        "an IPv4 address is in no IPv6 network",
        OPERATORS,
        IMPLICIT,
        when("IpAddress", "aws:SourceIp", "::/0"),
        context={"aws:SourceIp": "203.0.113.7"},
    ),
    Case(
        "ArnLike",
        OPERATORS,
        ALLOWED,
        when("ArnLike", "aws:SourceArn", "arn:aws:sns:*:123456789012:*"),
        context={"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:topic"},
    ),
    Case(
        "ArnEquals has wildcards too",
        OPERATORS,
        ALLOWED,
        when("ArnEquals", "aws:SourceArn", "arn:aws:sns:*:*:t*"),
        context={"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:topic"},
    ),
    Case(
        "each of the six parts of an ARN is compared apart",
        OPERATORS,
        IMPLICIT,
        when("ArnLike", "aws:SourceArn", "arn:aws:sns:*:topic"),
        context={"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:topic"},
    ),
    Case(
        "StringLike compares an ARN as text",
        OPERATORS,
        ALLOWED,
        when("StringLike", "aws:SourceArn", "arn:aws:sns:*:topic"),
        context={"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:topic"},
    ),
    Case(
        "ArnNotLike",
        OPERATORS,
        IMPLICIT,
        when("ArnNotLike", "aws:SourceArn", "arn:aws:sns:*:*:*"),
        context={"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:topic"},
    ),
    Case(
        "ArnNotEquals without its key", OPERATORS, ALLOWED, when("ArnNotEquals", "aws:SourceArn", "arn:aws:sns:*:*:*")
    ),
    Case("Null true: the key is not there", OPERATORS, ALLOWED, when("Null", "aws:TokenIssueTime", "true")),
    Case(
        "Null true, and it is there",
        OPERATORS,
        IMPLICIT,
        when("Null", "aws:TokenIssueTime", "true"),
        context={"aws:TokenIssueTime": "2026-01-01T00:00:00Z"},
    ),
    Case(
        "Null false: the key is there",
        OPERATORS,
        ALLOWED,
        when("Null", "aws:TokenIssueTime", "false"),
        context={"aws:TokenIssueTime": "2026-01-01T00:00:00Z"},
    ),
    Case("Null false, and it is not", OPERATORS, IMPLICIT, when("Null", "aws:TokenIssueTime", "false")),
]

SETS = [
    Case(
        "ForAllValues: each is listed",
        MANY_VALUES,
        ALLOWED,
        when("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"]),
        context={"aws:TagKeys": ["a", "b"]},
    ),
    Case(
        "ForAllValues: one is not listed",
        MANY_VALUES,
        IMPLICIT,
        when("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b"]),
        context={"aws:TagKeys": ["a", "c"]},
    ),
    Case(
        "ForAllValues holds without its key",
        MANY_VALUES,
        ALLOWED,
        when("ForAllValues:StringEquals", "aws:TagKeys", ["a"]),
    ),
    Case(
        "ForAllValues with Null asks for the key",
        MANY_VALUES,
        IMPLICIT,
        [allow(Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}, "Null": {"aws:TagKeys": "false"}})],
    ),
    Case(
        "ForAnyValue: one is listed",
        MANY_VALUES,
        ALLOWED,
        when("ForAnyValue:StringEquals", "aws:TagKeys", ["a", "b"]),
        context={"aws:TagKeys": ["x", "b"]},
    ),
    Case(
        "ForAnyValue: none is listed",
        MANY_VALUES,
        IMPLICIT,
        when("ForAnyValue:StringEquals", "aws:TagKeys", ["a", "b"]),
        context={"aws:TagKeys": ["x"]},
    ),
    Case(
        "ForAnyValue fails without its key",
        MANY_VALUES,
        IMPLICIT,
        when("ForAnyValue:StringEquals", "aws:TagKeys", ["a"]),
    ),
    Case(
        "ForAllValues negated: none is listed",
        MANY_VALUES,
        ALLOWED,
        when("ForAllValues:StringNotEquals", "aws:TagKeys", ["a"]),
        context={"aws:TagKeys": ["x", "y"]},
    ),
    Case(
        "ForAllValues negated: one is listed",
        MANY_VALUES,
        IMPLICIT,
        when("ForAllValues:StringNotEquals", "aws:TagKeys", ["a"]),
        context={"aws:TagKeys": ["x", "a"]},
    ),
    Case(
        "ForAnyValue negated: one is not listed",
        MANY_VALUES,
        ALLOWED,
        when("ForAnyValue:StringNotEquals", "aws:TagKeys", ["a"]),
        context={"aws:TagKeys": ["x", "a"]},
    ),
    Case(
        "ForAnyValue negated fails without its key",
        MANY_VALUES,
        IMPLICIT,
        when("ForAnyValue:StringNotEquals", "aws:TagKeys", ["a"]),
    ),
    Case(
        "ForAllValues with wildcards",
        MANY_VALUES,
        ALLOWED,
        when("ForAllValues:StringLike", "aws:TagKeys", ["sagemaker:*"]),
        context={"aws:TagKeys": ["sagemaker:a", "sagemaker:b"]},
    ),
]

VARIABLE_CASES = [
    Case(
        "a variable in the resource",
        VARIABLES,
        ALLOWED,
        [allow(resource="arn:aws:s3:::data/home/${aws:username}/*")],
        resource="arn:aws:s3:::data/home/alice/x",
        context={"aws:username": "alice"},
    ),
    Case(
        "a variable of somebody else",
        VARIABLES,
        IMPLICIT,
        [allow(resource="arn:aws:s3:::data/home/${aws:username}/*")],
        resource="arn:aws:s3:::data/home/bob/x",
        context={"aws:username": "alice"},
    ),
    Case(
        "a variable in a condition",
        VARIABLES,
        ALLOWED,
        when("StringLike", "s3:prefix", "home/${aws:username}/*"),
        context={"aws:username": "alice", "s3:prefix": "home/alice/x"},
    ),
    Case(
        "a variable that has no value matches nothing",
        VARIABLES,
        IMPLICIT,
        [allow(resource="arn:aws:s3:::data/${aws:username}*")],
        resource="arn:aws:s3:::data/x",
    ),
    Case(
        "a default value",
        VARIABLES,
        ALLOWED,
        [allow(resource="arn:aws:s3:::data/${aws:PrincipalTag/team, 'company-wide'}/*")],
        resource="arn:aws:s3:::data/company-wide/x",
    ),
    Case(
        "the value comes before the default",
        VARIABLES,
        IMPLICIT,
        [allow(resource="arn:aws:s3:::data/${aws:PrincipalTag/team, 'company-wide'}/*")],
        resource="arn:aws:s3:::data/company-wide/x",
        context={"aws:PrincipalTag/team": "yellow"},
    ),
    Case(
        "an escaped star is a star",
        VARIABLES,
        ALLOWED,
        [allow(resource="arn:aws:s3:::data/${*}")],
        resource="arn:aws:s3:::data/*",
    ),
    Case(
        "an escaped star is no wildcard",
        VARIABLES,
        IMPLICIT,
        [allow(resource="arn:aws:s3:::data/${*}")],
        resource="arn:aws:s3:::data/x",
    ),
    Case(
        "an escaped question mark",
        VARIABLES,
        IMPLICIT,
        [allow(resource="arn:aws:s3:::data/${?}")],
        resource="arn:aws:s3:::data/x",
    ),
    Case(
        "an escaped dollar",
        VARIABLES,
        ALLOWED,
        [allow(resource="arn:aws:s3:::data/${$}x")],
        resource="arn:aws:s3:::data/$x",
    ),
    Case(
        "a wildcard in a variable's value is a character",
        VARIABLES,
        IMPLICIT,
        [allow(resource="arn:aws:s3:::data/${aws:username}")],
        resource="arn:aws:s3:::data/anything",
        context={"aws:username": "*"},
    ),
    Case(
        "the old version knows no variables",
        VERSION,
        IMPLICIT,
        [allow(resource="arn:aws:s3:::data/${aws:username}")],
        resource="arn:aws:s3:::data/alice",
        context={"aws:username": "alice"},
        version="2008-10-17",
    ),
    Case(
        "for the old version they are text",
        VERSION,
        ALLOWED,
        [allow(resource="arn:aws:s3:::data/${aws:username}")],
        resource="arn:aws:s3:::data/${aws:username}",
        version="2008-10-17",
    ),
]

LAYER_CASES = [
    Case("a boundary grants nothing", BOUNDARY, IMPLICIT, boundary=[allow()]),
    Case("both must allow", BOUNDARY, ALLOWED, [allow()], boundary=[allow("s3:*")]),
    Case("what the boundary does not allow is denied", BOUNDARY, IMPLICIT, [allow()], boundary=[allow("sqs:*")]),
    Case("a deny in the boundary", BOUNDARY, EXPLICIT, [allow()], boundary=[allow(), deny("s3:*")]),
    Case("a session policy grants nothing", SESSION_POLICY, IMPLICIT, session=[allow()], caller="session"),
    Case(
        "the session policy's share", SESSION_POLICY, ALLOWED, [allow()], session=[allow("s3:Get*")], caller="session"
    ),
    Case(
        "outside the session policy", SESSION_POLICY, IMPLICIT, [allow()], session=[allow("s3:Put*")], caller="session"
    ),
    Case(
        "a deny in the session policy",
        SESSION_POLICY,
        EXPLICIT,
        [allow()],
        session=[allow(), deny("s3:*")],
        caller="session",
    ),
    Case(
        "identity, boundary and session must all allow",
        SAME_ACCOUNT,
        IMPLICIT,
        [allow()],
        boundary=[allow("s3:*")],
        session=[allow("s3:Put*")],
        caller="session",
    ),
    Case("a resource policy naming the user is enough", SAME_ACCOUNT, ALLOWED, resource_policy=to({"AWS": ALICE})),
    Case("a resource policy's deny", SAME_ACCOUNT, EXPLICIT, [allow()], resource_policy=to({"AWS": ALICE}, "Deny")),
    Case(
        "a resource policy naming somebody else",
        SAME_ACCOUNT,
        IMPLICIT,
        resource_policy=to({"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}),
    ),
    Case("naming the account only delegates to it", PRINCIPAL, IMPLICIT, resource_policy=to({"AWS": ROOT})),
    Case(
        "naming the account, and the account allows",
        PRINCIPAL,
        ALLOWED,
        [allow()],
        resource_policy=to({"AWS": ACCOUNT}),
    ),
    Case("everyone", PRINCIPAL, ALLOWED, resource_policy=to("*")),
    Case("everyone, as AWS principals", PRINCIPAL, ALLOWED, resource_policy=to({"AWS": "*"})),
    Case(
        "naming the user passes over an implicit deny of the boundary",
        BOUNDARY,
        ALLOWED,
        boundary=[allow("sqs:*")],
        resource_policy=to({"AWS": ALICE}),
    ),
    Case("naming the role is enough", SAME_ACCOUNT, ALLOWED, resource_policy=to({"AWS": ROLE}), caller="session"),
    Case(
        "naming the role leaves the boundary in force",
        BOUNDARY,
        IMPLICIT,
        boundary=[allow("sqs:*")],
        resource_policy=to({"AWS": ROLE}),
        caller="session",
    ),
    Case(
        "naming the role leaves the session policy in force",
        SAME_ACCOUNT,
        IMPLICIT,
        session=[allow("sqs:*")],
        resource_policy=to({"AWS": ROLE}),
        caller="session",
    ),
    Case(
        "naming the session passes over boundary and session policy",
        SAME_ACCOUNT,
        ALLOWED,
        boundary=[allow("sqs:*")],
        session=[allow("sqs:*")],
        resource_policy=to({"AWS": SESSION}),
        caller="session",
    ),
    Case(
        "an explicit deny in the boundary overrides a resource policy",
        BOUNDARY,
        EXPLICIT,
        boundary=[allow(), deny("s3:*")],
        resource_policy=to({"AWS": ALICE}),
    ),
    Case(
        "a service principal is not a user",
        PRINCIPAL,
        IMPLICIT,
        resource_policy=to({"Service": "sagemaker.amazonaws.com"}),
    ),
    Case(
        "a service",
        PRINCIPAL,
        ALLOWED,
        resource_policy=to({"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}),
        caller="service",
    ),
    Case(
        "another service", PRINCIPAL, IMPLICIT, resource_policy=to({"Service": "ec2.amazonaws.com"}), caller="service"
    ),
    Case(
        "NotPrincipal with Deny spares who is listed with the account",
        NOT_PRINCIPAL,
        ALLOWED,
        [allow()],
        resource_policy=[{"Effect": "Deny", "NotPrincipal": {"AWS": [ALICE, ROOT]}, "Action": "*", "Resource": "*"}],
    ),
    Case(
        "NotPrincipal with Deny denies everybody else",
        NOT_PRINCIPAL,
        EXPLICIT,
        [allow()],
        resource_policy=[
            {
                "Effect": "Deny",
                "NotPrincipal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:user/bob", ROOT]},
                "Action": "*",
                "Resource": "*",
            }
        ],
    ),
    Case(
        "NotPrincipal: a session needs session, role and account listed",
        NOT_PRINCIPAL,
        ALLOWED,
        [allow()],
        resource_policy=[
            {"Effect": "Deny", "NotPrincipal": {"AWS": [SESSION, ROLE, ROOT]}, "Action": "*", "Resource": "*"}
        ],
        caller="session",
    ),
    Case(
        "a resource policy's condition",
        SAME_ACCOUNT,
        IMPLICIT,
        resource_policy=to({"AWS": ALICE}, Condition={"Bool": {"aws:SecureTransport": "true"}}),
        context={"aws:SecureTransport": "false"},
    ),
]

CASES = [*BASICS, *RESOURCES, *STRINGS, *OTHER_OPERATORS, *SETS, *VARIABLE_CASES, *LAYER_CASES]
