"""Documents that break the grammar are refused when they are written, in IAM's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity.policy import Kind, parse_document, statement_spans

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}


def changed(statement: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The statement with members replaced; None removes one."""
    return {key: value for key, value in (statement | members).items() if value is not None}


def refusal(statement: Any, kind: Kind = Kind.IDENTITY, **top: Any) -> str:
    text = (
        statement if isinstance(statement, str) else json.dumps({"Version": "2012-10-17", "Statement": statement} | top)
    )
    with pytest.raises(CallerError) as caught:
        parse_document(text, kind)
    assert (caught.value.code, caught.value.status) == ("MalformedPolicyDocument", 400)
    return caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        '{"Statement": []}',
        '{"Statement": "x"}',
        '{"Statement": [1]}',
        '{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}',
        "[" * 100_000,
    ],
)
def test_what_is_no_document_has_syntax_errors(text: str) -> None:
    assert refusal(text) == "Syntax errors in policy."


@pytest.mark.parametrize(
    "statement",
    [
        changed(GOOD, Effect="allow"),
        changed(GOOD, Effect=None),
        changed(GOOD, Foo="bar"),
        changed(GOOD, NotAction="s3:*"),
        changed(GOOD, NotResource="*"),
        changed(GOOD, Action={"a": 1}),
        changed(GOOD, Condition="x"),
        changed(GOOD, Condition={"StringEquals": "x"}),
        changed(GOOD, Condition={"StringEquals": {"k:a": {"x": 1}}}),
    ],
)
def test_statements_that_break_the_grammar_have_syntax_errors(statement: dict[str, Any]) -> None:
    assert refusal(statement) == "Syntax errors in policy."


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (changed(GOOD, Action=None), "Policy statement must contain actions."),
        (changed(GOOD, Action=[]), "Policy statement must contain actions."),
        (changed(GOOD, Resource=None), "Policy statement must contain resources."),
        (changed(GOOD, Principal="*"), "Policy document should not specify a principal."),
        (
            changed(GOOD, Action="GetObject"),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (changed(GOOD, Action="s3:a:b"), "Actions/Condition can contain only one colon."),
        (changed(GOOD, Action="s 3:Get"), "Vendor s 3 is not valid"),
        (changed(GOOD, Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
        (changed(GOOD, Resource="arn:foo:s3:::b"), 'Partition "foo" is not valid for resource "arn:foo:s3:::b".'),
        (changed(GOOD, Resource="arn:aws"), "The policy failed legacy parsing"),
        (changed(GOOD, Condition={"StringIs": {"k:a": "x"}}), "Invalid Condition type : StringIs."),
        (changed(GOOD, Condition={"NullIfExists": {"k:a": "true"}}), "Invalid Condition type : NullIfExists."),
        (
            changed(GOOD, Condition={"ForEach:StringEquals": {"k:a": "x"}}),
            "Invalid Condition type : ForEach:StringEquals.",
        ),
    ],
)
def test_refusals_say_what_is_wrong(statement: dict[str, Any], message: str) -> None:
    assert refusal(statement) == message


def test_sids_are_alphanumeric_and_unique() -> None:
    assert refusal(changed(GOOD, Sid="a b")).startswith("Statement IDs (SID) must be alpha-numeric.")
    twice = [changed(GOOD, Sid="one"), changed(GOOD, Sid="one")]
    assert refusal(twice) == "Statement IDs (SID) in a single policy must be unique."


def test_versions_are_the_two_there_are() -> None:
    assert refusal(GOOD, Version="2024-01-01") == "The policy must contain a valid version string"
    parse_document(json.dumps({"Statement": GOOD}))
    parse_document(json.dumps({"Version": "2008-10-17", "Id": "x", "Statement": [GOOD]}))


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (changed(TRUST, Resource="*"), "Has prohibited field Resource"),
        (changed(TRUST, Principal=None), "Missing required field Principal"),
        (changed(TRUST, Action="s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (changed(TRUST, Principal={"AWS": "bob"}), 'Invalid principal in policy: "AWS":"bob"'),
        (changed(TRUST, Principal={"Person": "bob"}), 'Invalid principal in policy: "Person"'),
        (
            changed(TRUST, Principal={"AWS": "arn:aws:iam::123456789012:user/*"}),
            'Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/*"',
        ),
        (changed(TRUST, Principal=None, NotPrincipal={"AWS": "*"}), "Allow with NotPrincipal is not allowed."),
    ],
)
def test_trust_policies_have_rules_of_their_own(statement: dict[str, Any], message: str) -> None:
    assert refusal(statement, Kind.TRUST) == message


def test_spans_point_at_the_statements_in_the_text() -> None:
    text = """{
  "Version": "2012-10-17", "Id": "a \\"Statement\\" {",
  "Statement": [
    {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {"k:}": ["{", "]"]}}},
    {
      "Effect": "Deny", "Action": "s3:Put*", "Resource": "*"
    }
  ]
}"""
    lines = text.splitlines()
    assert len(parse_document(text).statements) == 2
    one, two = statement_spans(text)
    assert (one.start.line, one.start.column, one.end.line) == (4, 5, 4)
    assert lines[3][one.start.column - 1 : one.end.column - 1] == lines[3].strip().rstrip(",")
    assert (two.start.line, two.start.column, two.end.line, two.end.column) == (5, 5, 7, 6)


def test_a_single_statement_has_one_span() -> None:
    text = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
    (span,) = statement_spans(text)
    assert text[span.start.column - 1 : span.end.column - 1] == text[14:-1]
