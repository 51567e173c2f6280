"""Saying no: what the caller is told, and what the log holds for whoever can mend it.

AWS: troubleshoot_access-denied.html. The message names the layer that denied and, for an explicit deny, the policy by
its ARN (AWS gives it within one account, and here there is only one) and the statement. The log gets the smallest
policy that would allow the call, which the caller is not told: it may name what the caller has no business to know.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from sagebrush.substrate.errors import CallerError, access_denied
from sagebrush.substrate.identity.policy import Context, Decision, Effect, Layer, Layers, Match
from sagebrush.substrate.identity.policy.document import CURRENT_VERSION
from sagebrush.substrate.identity.principal import Principal

log = logging.getLogger("sagebrush.denials")
#: Services that say ``AccessDenied`` with 403; the JSON services say ``AccessDeniedException`` with 400.
_QUERY_SERVICES = frozenset({"s3", "iam", "sts", "cloudwatch", "autoscaling", "ec2", "sns", "sqs"})
#: Keys that a grant of PassRole should name, as AWS advises (id_roles_use_passrole.html).
_PASSED_TO = "iam:passedtoservice"


def denied(
    principal: Principal, action: str, resource_arn: str, decision: Decision, by: Match | None = None
) -> CallerError:
    """AccessDenied in AWS's words, with the code of the action's service; ``by`` is the statement that denied."""
    message = (
        f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource_arn} "
        f"{decision.because(action)}{_named(by)}"
    )
    # No service has an operation PassRole: it is asked for by JSON services that are handed a role.
    if action.partition(":")[0].lower() in _QUERY_SERVICES and action != "iam:PassRole":
        return access_denied(message, code="AccessDenied", status=403)
    return access_denied(message)


def denying(layers: Layers, decision: Decision, action: str, resource_arn: str, context: Context) -> Match | None:
    """The statement of an explicit deny; None for any other denial, and where the resource's policy denied."""
    policies = {Layer.IDENTITY: layers.identity, Layer.BOUNDARY: layers.boundary, Layer.SESSION: layers.session}
    found = policies.get(decision.layer)
    if decision.effect is not Effect.EXPLICIT_DENY or found is None:
        return None
    matches = found.explain(action, resource_arn, context).matches
    return next((match for match in matches if not match.statement.allows), None)


def record(request_id: str, error: CallerError, mending: str) -> None:
    """One line in the log of the process that refused."""
    log.info("%s denied: %s. %s", request_id or "-", error.message, mending)


def mending(principal: Principal, action: str, resource_arn: str, decision: Decision, context: Context) -> str:
    """What would have to change for the call to be allowed, with the smallest policy as JSON."""
    if decision.effect is Effect.EXPLICIT_DENY:
        return "No further policy can allow it: the denying statement has to go, or to leave this out."
    smallest = json.dumps(smallest_policy(action, resource_arn, context, trusting=_trusted(principal, decision)))
    where = {
        Layer.IDENTITY: f"attached to {principal.role_arn or principal.arn}",
        Layer.BOUNDARY: f"within the permissions boundary of {principal.role_arn or principal.arn}",
        Layer.SESSION: "within the session's policies, given when it was made",
        Layer.RESOURCE: f"as trust or resource policy of {resource_arn}",
    }[decision.layer]
    return f"The smallest policy that allows it, {where}: {smallest}"


def smallest_policy(
    action: str, resource_arn: str, context: Context, *, trusting: str | None = None
) -> Mapping[str, Any]:
    """A policy of one statement that allows just this; with ``trusting`` one that trusts this principal."""
    statement: dict[str, Any] = {"Effect": "Allow"}
    if trusting is not None:
        statement |= {"Principal": {"AWS": trusting}, "Action": action}
    else:
        statement |= {"Action": action, "Resource": resource_arn}
    if _PASSED_TO in context:
        statement["Condition"] = {"StringEquals": {"iam:PassedToService": context[_PASSED_TO][0]}}
    return {"Version": CURRENT_VERSION, "Statement": [statement]}


def _trusted(principal: Principal, decision: Decision) -> str | None:
    return (principal.role_arn or principal.arn) if decision.layer is Layer.RESOURCE else None


def _named(by: Match | None) -> str:
    if by is None:
        return ""
    source, statement = by.policy.source, by.statement
    which = source.arn or (f"inline policy {source.name} of {source.owner}" if source.owner else "")
    return f"{f': {which}' if which else ''}, statement {statement.sid or f'number {statement.index + 1}'}"
