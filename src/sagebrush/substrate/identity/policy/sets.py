"""Sets of identity-based policies, compiled so that a decision costs little.

Most requests repeat: the same few actions on resources that a statement either names wholly or not at all. So a set
keeps, per action, the statements that can matter (its *slice*), and where those depend on nothing but the resource it
remembers decisions in a bounded cache. A set never changes; when policies do, a new set replaces it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sagebrush.substrate.identity.policy.document import Document, Statement
from sagebrush.substrate.identity.policy.templates import Context

#: Makes the request's context; called only when a statement asks for it.
ContextSource = Callable[[], Context]
_REMEMBERED_DECISIONS = 4096
_REMEMBERED_ACTIONS = 512


class Effect(enum.Enum):
    """What a set of policies says about a request, spelled as SimulatePrincipalPolicy does."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document came from: what SourcePolicyId and SourcePolicyType of a simulation say.

    ``arn`` is a managed policy's, ``owner`` the ARN of the role, user or group that an inline policy is part of.
    """

    name: str
    kind: str
    arn: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A document and where it came from."""

    source: Source
    document: Document


@dataclass(frozen=True, slots=True)
class Match:
    """A statement that applied to a request."""

    policy: Policy
    statement: Statement


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons: the statements that made it, and condition keys that were asked for in vain."""

    effect: Effect
    matches: tuple[Match, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Slice:
    """The statements that cover one action."""

    denials: tuple[Statement, ...]
    grants: tuple[Statement, ...]
    plain: bool
    #: The answer, when neither resource nor context can change it.
    always: Effect | None


class PolicySet:
    """Identity-based policies that count together: one of their Allows is enough, one of their Denies decides."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.policies = tuple(policies)
        self._slices: dict[str, _Slice] = {}
        self._decide_plain = lru_cache(maxsize=_REMEMBERED_DECISIONS)(self._evaluate_plain)

    def decide(self, action: str, resource: str, context: ContextSource) -> Effect:
        """What the set says. ``action`` in any case; ``resource`` an ARN or ``*``."""
        action = action.lower()
        found = self._slice(action)
        if found.always is not None:
            return found.always
        if found.plain:
            return self._decide_plain(action, resource)
        return _evaluate(found, resource, context())

    def explain(self, action: str, resource: str, context: Context) -> Explanation:
        """Decide, and say why; for simulations."""
        action = action.lower()
        covering = [
            Match(policy, statement)
            for policy in self.policies
            for statement in policy.document.statements
            if statement.covers_action(action) and statement.covers_resource(resource, context)
        ]
        missing = dict.fromkeys(
            key
            for policy in self.policies
            for statement in policy.document.statements
            if statement.covers_action(action)
            for key in statement.keys
            if key.lower() not in context
        )
        holding = [match for match in covering if match.statement.holds(context)]
        denials = tuple(match for match in holding if not match.statement.allows)
        if denials:
            return Explanation(Effect.EXPLICIT_DENY, denials, tuple(missing))
        effect = Effect.ALLOWED if holding else Effect.IMPLICIT_DENY
        return Explanation(effect, tuple(holding), tuple(missing))

    def _slice(self, action: str) -> _Slice:
        found = self._slices.get(action)
        if found is None:
            if len(self._slices) >= _REMEMBERED_ACTIONS:
                self._slices.clear()
            found = self._slices[action] = self._make_slice(action)
        return found

    def _make_slice(self, action: str) -> _Slice:
        covering = [
            statement
            for policy in self.policies
            for statement in policy.document.statements
            if statement.covers_action(action)
        ]
        denials = tuple(statement for statement in covering if not statement.allows)
        grants = tuple(statement for statement in covering if statement.allows)
        always = None
        if any(_unconditional(statement) for statement in denials):
            always = Effect.EXPLICIT_DENY
        elif not covering:
            always = Effect.IMPLICIT_DENY
        elif not denials and any(_unconditional(statement) for statement in grants):
            always = Effect.ALLOWED
        return _Slice(denials, grants, all(statement.plain for statement in covering), always)

    def _evaluate_plain(self, action: str, resource: str) -> Effect:
        return _evaluate(self._slice(action), resource, {})


def _unconditional(statement: Statement) -> bool:
    covers_all = statement.resources is not None and statement.resources.everything and not statement.all_but_resources
    return covers_all and not statement.conditions


def _evaluate(found: _Slice, resource: str, context: Context) -> Effect:
    for statement in found.denials:
        if statement.covers_resource(resource, context) and statement.holds(context):
            return Effect.EXPLICIT_DENY
    for statement in found.grants:
        if statement.covers_resource(resource, context) and statement.holds(context):
            return Effect.ALLOWED
    return Effect.IMPLICIT_DENY
