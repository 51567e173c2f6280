"""The compiled evaluator against a naive one that follows the text of the documentation word by word."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sagebrush.substrate.identity.policy import Layers, Policy, PolicySet, Source, decide, parse_document
from sagebrush.substrate.identity.policy.templates import glob, parse
from tests.substrate.identity.policy.oracle import naive_decision, naive_glob

# --- what policies look like ---------------------------------------------------------------------------------------

ACTIONS = ["*", "s3:*", "s3:Get*", "S3:getobject", "s3:?etObject", "sqs:*", "s3:PutObject", "*:GetObject"]
RESOURCES = ["*", "arn:aws:s3:::*", "arn:aws:s3:::a/*", "arn:aws:s3:::a/?", "arn:aws:s3:::a/*b*", "arn:aws:s3:::a/b"]
REQUESTED = ["arn:aws:s3:::a/b", "arn:aws:s3:::a/bb", "arn:aws:s3:::a", "*"]
OPERATORS = [
    quantifier + name
    for quantifier in ("", "ForAllValues:", "ForAnyValue:")
    for name in ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIfExists")
] + ["Null"]
VALUES = ["x", "y", "x*", "?"]


def some(choices: Sequence[str]) -> st.SearchStrategy[Any]:
    """One of them, or a list of some."""
    return st.sampled_from(choices) | st.lists(st.sampled_from(choices), min_size=1, max_size=3)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from(OPERATORS))
    wanted = draw(some(["true", "false"] if operator == "Null" else VALUES))
    return {operator: {draw(st.sampled_from(["k:a", "k:b"])): wanted}}


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    made[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(
        some([action for action in ACTIONS if action != "*:GetObject"])
    )
    made[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(some(RESOURCES))
    if draw(st.booleans()):
        made["Condition"] = draw(conditions())
    return made


POLICIES = st.lists(statements(), min_size=1, max_size=4)
CONTEXTS = st.dictionaries(
    st.sampled_from(["k:a", "k:b"]), st.lists(st.sampled_from(["x", "y", "xy"]), min_size=1, max_size=2)
)


def compiled(policy: Sequence[Mapping[str, Any]]) -> PolicySet:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(policy)})
    return PolicySet([Policy(Source("p", "none"), parse_document(text))])


@settings(deadline=None)  # the machine may be busy
@given(
    identity=POLICIES,
    boundary=st.none() | POLICIES,
    session=st.none() | POLICIES,
    action=st.sampled_from(["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]),
    resources=st.lists(st.sampled_from(REQUESTED), min_size=1, max_size=3),
    context=CONTEXTS,
)
def test_the_evaluator_agrees_with_the_naive_one(
    identity: list[Any],
    boundary: list[Any] | None,
    session: list[Any] | None,
    action: str,
    resources: list[str],
    context: dict[str, list[str]],
) -> None:
    layers = Layers(
        compiled(identity),
        compiled(boundary) if boundary is not None else None,
        compiled(session) if session is not None else None,
    )
    known = {key: tuple(values) for key, values in context.items()}
    given_layers = [layer for layer in (identity, boundary, session) if layer is not None]
    for resource in [*resources, *resources]:
        decided = decide(layers, action, resource, lambda: known).effect.value
        assert decided == naive_decision(given_layers, action, resource, context)


@settings(deadline=None)  # the machine may be busy
@given(policy=POLICIES, denial=statements(), action=st.sampled_from(["s3:GetObject", "sqs:SendMessage"]))
def test_adding_a_deny_never_allows_anything(policy: list[Any], denial: dict[str, Any], action: str) -> None:
    before = compiled(policy).decide(action, "arn:aws:s3:::a/b", dict)
    after = compiled([*policy, denial | {"Effect": "Deny"}]).decide(action, "arn:aws:s3:::a/b", dict)
    assert after is before or after.value == "explicitDeny"


@settings(deadline=None)  # the machine may be busy
@given(pattern=st.text("ab*?:", max_size=8), text=st.text("ab:", max_size=8))
@example(pattern="a*b*a", text="abba")
@example(pattern="*", text="")
@example(pattern="a\n*", text="a\nb")
def test_patterns_match_as_the_two_wildcards_say(pattern: str, text: str) -> None:
    template = parse(pattern, wildcards=True, variables=False)
    assert template.fixed is not None
    assert bool(glob(template.fixed).match(text)) == naive_glob(pattern, text)
