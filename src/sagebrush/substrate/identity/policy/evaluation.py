"""The decision over all kinds of policy together. AWS: reference_policies_evaluation-logic.html.

any Deny anywhere                                  -> denied, explicitly
resource policy names the caller itself            -> allowed
(identity policies, or a resource policy that names the caller's role)
    and the permissions boundary, if there is one
    and the session policies, if there are any     -> allowed
else                                               -> denied, implicitly
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from sagebrush.substrate.identity.policy.document import Document, Statement
from sagebrush.substrate.identity.policy.principals import Caller, Grant
from sagebrush.substrate.identity.policy.sets import ContextSource, Effect, PolicySet


class Layer(enum.Enum):
    """The kind of policy that decided, as an AccessDenied message names it."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"


@dataclass(frozen=True, slots=True)
class Layers:
    """The policies that bear on a principal. ``session`` are documents passed when the session was made."""

    identity: PolicySet
    boundary: PolicySet | None = None
    session: PolicySet | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome and, when it is a denial, the layer it came from."""

    effect: Effect
    layer: Layer = Layer.IDENTITY

    @property
    def allowed(self) -> bool:
        """Whether the request may go on."""
        return self.effect is Effect.ALLOWED

    def because(self, action: str) -> str:
        """The end of AWS's AccessDenied message."""
        article = "an" if self.layer is Layer.IDENTITY else "a"
        if self.effect is Effect.EXPLICIT_DENY:
            return f"with an explicit deny in {article} {self.layer.value}"
        return f"because no {self.layer.value} allows the {action} action"


_ALLOWED = Decision(Effect.ALLOWED)


def decide(
    layers: Layers,
    action: str,
    resource: str,
    context: ContextSource,
    *,
    caller: Caller | None = None,
    resource_policies: Sequence[Document] = (),
    resource_must_grant: bool = False,
) -> Decision:
    """Decide a request of a principal of this account on a resource of this account.

    ``resource_must_grant``: identity policies alone are not enough, as for assuming a role.
    """
    verdicts = [(Layer.IDENTITY, layers.identity.decide(action, resource, context))]
    if layers.boundary is not None:
        verdicts.append((Layer.BOUNDARY, layers.boundary.decide(action, resource, context)))
    if layers.session is not None:
        verdicts.append((Layer.SESSION, layers.session.decide(action, resource, context)))
    grant = Grant.NONE
    if resource_policies:
        denied, grant = weigh_resource_policies(resource_policies, action, resource, context, caller or Caller())
        if denied:
            return Decision(Effect.EXPLICIT_DENY, Layer.RESOURCE)
    for layer, effect in verdicts:
        if effect is Effect.EXPLICIT_DENY:
            return Decision(effect, layer)
    if grant is Grant.DIRECT:
        return _ALLOWED
    if resource_must_grant and grant is Grant.NONE:
        return Decision(Effect.IMPLICIT_DENY, Layer.RESOURCE)
    for layer, effect in verdicts:
        if effect is not Effect.ALLOWED and not (layer is Layer.IDENTITY and grant is Grant.ROLE):
            return Decision(effect, layer)
    return _ALLOWED


def weigh_resource_policies(
    documents: Sequence[Document], action: str, resource: str, context: ContextSource, caller: Caller
) -> tuple[bool, Grant]:
    """Whether the resource's policies deny the request, and how strongly they grant it."""
    action = action.lower()
    strongest = Grant.NONE
    for document in documents:
        for statement in document.statements:
            grant = weigh_statement(statement, action, resource, context, caller)
            if grant is Grant.NONE:
                continue
            if not statement.allows:
                return True, Grant.NONE
            strongest = max(strongest, grant)
    return False, strongest


def weigh_statement(statement: Statement, action: str, resource: str, context: ContextSource, caller: Caller) -> Grant:
    """How a statement of a resource policy means the request; ``action`` in lower case."""
    if statement.principal is None or not statement.covers_action(action):
        return Grant.NONE
    grant = statement.principal.grant(caller)
    if grant is Grant.NONE:
        return grant
    known = {} if statement.plain else context()
    return grant if statement.covers_resource(resource, known) and statement.holds(known) else Grant.NONE


def trusts(document: Document, action: str, resource: str, context: ContextSource, caller: Caller) -> bool:
    """Whether a trust policy alone lets ``caller`` (a service) act."""
    denied, grant = weigh_resource_policies([document], action, resource, context, caller)
    return not denied and grant is Grant.DIRECT
