"""Policy simulations: the same decision as everywhere, with its reasons.

What a simulation finds *missing* are the condition keys of statements about the action that the request's context
lacks; the decision then follows the rules for missing keys, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sagebrush.substrate.identity.policy.document import Document
from sagebrush.substrate.identity.policy.evaluation import Layers, decide, weigh_statement
from sagebrush.substrate.identity.policy.principals import Caller, Grant
from sagebrush.substrate.identity.policy.sets import Effect, Match, Policy, Source
from sagebrush.substrate.identity.policy.templates import Context

RESOURCE_POLICY = Source("ResourcePolicy", "resource")


@dataclass(frozen=True, slots=True)
class Simulated:
    """One action on one resource. ``boundary_allows`` is None where there is no permissions boundary."""

    action: str
    resource: str
    effect: Effect
    matches: tuple[Match, ...]
    missing: tuple[str, ...]
    boundary_allows: bool | None


def simulate(
    layers: Layers,
    action: str,
    resource: str,
    context: Context,
    *,
    caller: Caller,
    resource_policies: Sequence[Document] = (),
) -> Simulated:
    """Decide one request and gather the statements that decided: the denying ones, or else the allowing ones."""
    decision = decide(layers, action, resource, lambda: context, caller=caller, resource_policies=resource_policies)
    explained = [layers.identity.explain(action, resource, context)]
    boundary_allows = None
    if layers.boundary is not None:
        boundary = layers.boundary.explain(action, resource, context)
        boundary_allows = boundary.effect is Effect.ALLOWED
        explained.append(boundary)
    if layers.session is not None:
        explained.append(layers.session.explain(action, resource, context))
    matches = [match for explanation in explained for match in explanation.matches]
    matches += _resource_matches(resource_policies, action, resource, context, caller)
    missing = dict.fromkeys(key for explanation in explained for key in explanation.missing)
    missing |= dict.fromkeys(_missing_of(resource_policies, action, context))
    return Simulated(
        action, resource, decision.effect, _deciding(matches, decision.effect), tuple(missing), boundary_allows
    )


def _deciding(matches: Sequence[Match], effect: Effect) -> tuple[Match, ...]:
    if effect is Effect.IMPLICIT_DENY:
        return ()
    return tuple(match for match in matches if match.statement.allows == (effect is Effect.ALLOWED))


def _resource_matches(
    documents: Sequence[Document], action: str, resource: str, context: Context, caller: Caller
) -> list[Match]:
    return [
        Match(Policy(RESOURCE_POLICY, document), statement)
        for document in documents
        for statement in document.statements
        if weigh_statement(statement, action.lower(), resource, lambda: context, caller) is not Grant.NONE
    ]


def _missing_of(documents: Sequence[Document], action: str, context: Context) -> list[str]:
    return [
        key
        for document in documents
        for statement in document.statements
        if statement.covers_action(action.lower())
        for key in statement.keys
        if key.lower() not in context
    ]
