"""Policy simulation: the evaluator that decides real requests, asked without making one.

The SageMaker SDK (v3) asks before every job whether the role may do what the job needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sagebrush.aws.iam import paging
from sagebrush.substrate.arns import parse as parse_arn
from sagebrush.substrate.calls import Call
from sagebrush.substrate.identity import context as contexts
from sagebrush.substrate.identity import sessions
from sagebrush.substrate.identity.entities import GROUP, ROLE, USER
from sagebrush.substrate.identity.iam_errors import invalid_input, no_such
from sagebrush.substrate.identity.policy import (
    Caller,
    Context,
    Document,
    Kind,
    Layers,
    Match,
    Policy,
    PolicySet,
    Simulated,
    Source,
    parse_document,
    simulate,
    statement_spans,
)
from sagebrush.substrate.identity.principal import Principal


def simulate_principal_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """What the policies of a role, user or group, with ``PolicyInputList``, say to each action on each resource.

    ``PermissionsBoundaryPolicyInputList`` replaces the principal's own boundary. Raises NoSuchEntity, InvalidInput.
    """
    principal = _source(call, request["PolicySourceArn"])
    own = call.platform.identity.layers(principal)
    layers = Layers(
        PolicySet([*own.identity.policies, *_inputs("PolicyInputList", request)]),
        _boundary(request) or own.boundary,
    )
    known = dict(call.platform.identity.request_context(principal))
    if principal.role_arn is not None:
        del known["aws:userid"]  # names the session; there is none
    return _simulate(call, request, layers, known, Caller(request["PolicySourceArn"], call.account))


def simulate_custom_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """What the policies of the request say to each action on each resource. Raises InvalidInput."""
    layers = Layers(PolicySet(_inputs("PolicyInputList", request)), _boundary(request))
    return _simulate(call, request, layers, {}, Caller(account=call.account))


def get_context_keys_for_custom_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The condition keys that the policies of the request ask for. Raises InvalidInput."""
    return {"ContextKeyNames": _keys_of(_inputs("PolicyInputList", request))}


def get_context_keys_for_principal_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The condition keys that a principal's policies and those of the request ask for. Raises NoSuchEntity."""
    own = call.platform.identity.layers(_source(call, request["PolicySourceArn"])).identity
    return {"ContextKeyNames": _keys_of([*own.policies, *_inputs("PolicyInputList", request)])}


def _keys_of(policies: Iterable[Policy]) -> list[str]:
    """Each once, however it is spelled: condition keys have no case."""
    statements = [statement for policy in policies for statement in policy.document.statements]
    named = {key.lower(): key for statement in reversed(statements) for key in reversed(statement.keys)}
    return [named[key] for key in sorted(named)]


def _source(call: Call, arn: str) -> Principal:
    try:
        parsed = parse_arn(arn)
    except ValueError:
        parsed = None
    if parsed is None or parsed.service != "iam" or parsed.resource_type not in (ROLE, USER, GROUP):
        raise invalid_input(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    entity = call.platform.identity.entity(arn)
    if entity is None:
        raise no_such(parsed.resource_type, arn.rsplit("/", 1)[-1])
    if entity.kind == ROLE:
        return sessions.role_principal(entity.arn, entity.unique_id, "simulation")
    return Principal(arn=entity.arn, account=entity.account, user_id=entity.unique_id)


def _inputs(member: str, request: Mapping[str, Any]) -> list[Policy]:
    return [
        Policy(Source(f"{member}.{number}", "none"), _parsed(text, Kind.IDENTITY))
        for number, text in enumerate(request.get(member, []), 1)
    ]


def _boundary(request: Mapping[str, Any]) -> PolicySet | None:
    given = _inputs("PermissionsBoundaryPolicyInputList", request)
    return PolicySet(given) if given else None


def _parsed(text: str, kind: Kind) -> Document:
    return parse_document(text, kind)


def _simulate(call: Call, request: Mapping[str, Any], layers: Layers, known: Context, caller: Caller) -> dict[str, Any]:
    given = {entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in request.get("ContextEntries", [])}
    context = contexts.merged(known, contexts.normalized(given))
    policies = [_parsed(request["ResourcePolicy"], Kind.RESOURCE)] if "ResourcePolicy" in request else []
    if "CallerArn" in request:
        caller = Caller(request["CallerArn"], call.account)
    asked = [
        (f"{index:06d}", action, resource)
        for index, (action, resource) in enumerate(_pairs(request["ActionNames"], request.get("ResourceArns", ["*"])))
    ]
    page, more = paging.listed(call, request, asked, lambda item: item[0])
    results = [
        simulate(layers, action, resource, context, caller=caller, resource_policies=policies)
        for _, action, resource in page
    ]
    return {"EvaluationResults": [_result(result) for result in results], **more}


def _pairs(actions: Iterable[str], resources: Iterable[str]) -> list[tuple[str, str]]:
    for action in actions:
        vendor, colon, name = action.partition(":")
        if not (vendor and colon and name) or "*" in action:
            raise invalid_input(f"Invalid Action Name: {action}")
    resources = list(resources)
    return [(action, resource) for action in actions for resource in resources]


def _result(result: Simulated) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "EvalActionName": result.action,
        "EvalResourceName": result.resource,
        "EvalDecision": result.effect.value,
        "MatchedStatements": [_statement(match) for match in result.matches],
        "MissingContextValues": list(result.missing),
    }
    if result.boundary_allows is not None:
        shown["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": result.boundary_allows}
    return shown


def _statement(match: Match) -> dict[str, Any]:
    span = statement_spans(match.policy.document.text)[match.statement.index]
    return {
        "SourcePolicyId": match.policy.source.name,
        "SourcePolicyType": match.policy.source.kind,
        "StartPosition": {"Line": span.start.line, "Column": span.start.column},
        "EndPosition": {"Line": span.end.line, "Column": span.end.column},
    }
