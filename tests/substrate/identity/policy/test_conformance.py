"""The evaluator answers as AWS's documentation says, case by case, however it is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from sagebrush.substrate.identity.context import normalized
from sagebrush.substrate.identity.policy import (
    Caller,
    Kind,
    Layers,
    Policy,
    PolicySet,
    Source,
    decide,
    parse_document,
    simulate,
)
from tests.substrate.identity.policy.cases import ACCOUNT, ALICE, CASES, ROLE, SESSION, Case, Statement
from tests.substrate.identity.policy.further_cases import FURTHER

ALL_CASES = [*CASES, *FURTHER]

CALLERS = {
    "user": Caller(ALICE, ACCOUNT),
    "session": Caller(SESSION, ACCOUNT, ROLE),
    "service": Caller(service="sagemaker.amazonaws.com"),
}


def document(statements: Sequence[Statement], version: str) -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def policy_set(statements: Sequence[Statement], version: str) -> PolicySet:
    if not statements:
        return PolicySet(())
    return PolicySet([Policy(Source("p", "none"), parse_document(document(statements, version)))])


def layers_of(case: Case) -> Layers:
    return Layers(
        policy_set(case.identity, case.version),
        None if case.boundary is None else policy_set(case.boundary, case.version),
        None if case.session is None else policy_set(case.session, case.version),
    )


def resource_policies_of(case: Case) -> list[object]:
    if not case.resource_policy:
        return []
    return [parse_document(document(case.resource_policy, case.version), Kind.RESOURCE)]


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_decision_is_the_documented_one(case: Case) -> None:
    layers, context = layers_of(case), normalized(case.context)
    for _ in range(2):  # the second answer may come from the memory of decisions
        decision = decide(
            layers,
            case.action,
            case.resource,
            lambda: context,
            caller=CALLERS[case.caller],
            resource_policies=resource_policies_of(case),  # type: ignore[arg-type]
        )
        assert decision.effect.value == case.expected, case.page


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_simulation_says_the_same_and_names_the_statements_that_decided(case: Case) -> None:
    result = simulate(
        layers_of(case),
        case.action,
        case.resource,
        normalized(case.context),
        caller=CALLERS[case.caller],
        resource_policies=resource_policies_of(case),  # type: ignore[arg-type]
    )
    assert result.effect.value == case.expected
    effects = {match.statement.allows for match in result.matches}
    assert effects == {"allowed": {True}, "explicitDeny": {False}, "implicitDeny": set()}[case.expected]


def test_the_table_is_large_and_every_case_names_its_page() -> None:
    assert len(ALL_CASES) >= 170
    assert len({case.name for case in ALL_CASES}) == len(ALL_CASES)
    assert all(case.page for case in ALL_CASES)


def test_a_decision_on_one_resource_is_not_remembered_for_another() -> None:
    policies = policy_set([{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::a/*"}], "2012-10-17")
    answers = [policies.decide("s3:GetObject", f"arn:aws:s3:::{bucket}/k", dict).value for bucket in "abab"]
    assert answers == ["allowed", "implicitDeny", "allowed", "implicitDeny"]


def test_a_conditional_decision_is_made_anew_for_each_request() -> None:
    condition = {"StringEquals": {"k:a": "x"}}
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition}
    policies = policy_set([statement], "2012-10-17")
    answers = [policies.decide("s3:GetObject", "*", lambda value=value: {"k:a": (value,)}).value for value in "xyx"]
    assert answers == ["allowed", "implicitDeny", "allowed"]


def test_the_context_is_not_made_for_actions_whose_statements_ask_for_nothing() -> None:
    policies = policy_set(
        [
            {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::a/*"},
            {"Effect": "Allow", "Action": "sqs:*", "Resource": "*", "Condition": {"Null": {"k:a": "true"}}},
        ],
        "2012-10-17",
    )

    def unwanted() -> dict[str, tuple[str, ...]]:
        raise AssertionError("asked for the context")

    assert policies.decide("s3:GetObject", "arn:aws:s3:::a/k", unwanted).value == "allowed"


def test_a_hostile_pattern_costs_no_exponential_time() -> None:
    """Backtracking would need longer than the age of the universe for this one."""
    pattern = "arn:aws:s3:::" + "*a" * 40 + "*b"
    policies = policy_set([{"Effect": "Allow", "Action": "*", "Resource": pattern}], "2012-10-17")
    assert policies.decide("s3:GetObject", "arn:aws:s3:::" + "a" * 1000, dict).value == "implicitDeny"
