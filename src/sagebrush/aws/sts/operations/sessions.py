"""Temporary credentials. AWS: API_AssumeRole.html, id_session-tags.html, API_GetSessionToken.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import CallerError, access_denied
from sagebrush.substrate.identity import managed
from sagebrush.substrate.identity.context import ContextValue
from sagebrush.substrate.identity.denials import denied
from sagebrush.substrate.identity.entities import ROLE, Entity
from sagebrush.substrate.identity.iam_errors import validation_error
from sagebrush.substrate.identity.policy import Decision, Effect, Kind, Layer, parse_document
from sagebrush.substrate.identity.principal import Principal, TemporaryCredentials

DEFAULT_SECONDS = 3600
CHAINED_SECONDS = 3600
USER_SECONDS = 12 * 3600
#: Characters of session policy and tags that AWS packs; PackedPolicySize is the share used.
PACKED_LIMIT = 2048
_TAG = "aws:PrincipalTag/"
_TRANSITIVE = "sts:TransitiveTagKeys"


def assume_role(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Credentials of a role, for whom its trust policy names.

    Raises AccessDenied (also for a role that does not exist), ValidationError (duration), MalformedPolicyDocument,
    PackedPolicyTooLarge.
    """
    _refuse_unserved(request)
    role = call.platform.identity.entity(request["RoleArn"])
    if role is None or role.kind != ROLE:
        raise _denied(call, "sts:AssumeRole", request["RoleArn"])
    tags, transitive = _session_tags(call.principal, request)
    _authorize(call, role, request)
    seconds = _duration(call, role, request)
    policies = _session_policies(call, request)
    packed = _packed_percent(policies, tags)
    given = call.platform.identity.role_session(
        role.arn,
        request["RoleSessionName"],
        seconds,
        policies=policies,
        session_context=_session_context(request, tags, transitive),
    )
    answer: dict[str, Any] = {
        "Credentials": _credentials(given),
        "AssumedRoleUser": {"AssumedRoleId": given.principal.user_id, "Arn": given.principal.arn},
    }
    if packed:
        answer["PackedPolicySize"] = packed
    if "SourceIdentity" in request:
        answer["SourceIdentity"] = request["SourceIdentity"]
    return answer


def get_session_token(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Temporary credentials of the calling user, with the user's rights. Raises AccessDenied for sessions."""
    _refuse_unserved(request)
    if call.principal.role_arn is not None or call.principal.session_context or ":user/" not in call.principal.arn:
        raise access_denied("Cannot call GetSessionToken with session credentials", code="AccessDenied", status=403)
    seconds = request.get("DurationSeconds", USER_SECONDS)
    return {"Credentials": _credentials(call.platform.identity.user_session(call.principal, seconds))}


def _refuse_unserved(request: Mapping[str, Any]) -> None:
    if "SerialNumber" in request or "TokenCode" in request:
        raise access_denied(
            "MultiFactorAuthentication failed with invalid MFA one time pass code. Sagebrush has no MFA devices.",
            code="AccessDenied",
            status=403,
        )
    if "ProvidedContexts" in request:
        raise validation_error("Sagebrush does not serve ProvidedContexts.")


def _authorize(call: Call, role: Entity, request: Mapping[str, Any]) -> None:
    """Each of the actions that the request amounts to, by the role's trust policy and the caller's own policies."""
    actions = ["sts:AssumeRole"]
    context: dict[str, ContextValue] = {"sts:RoleSessionName": request["RoleSessionName"]}
    if "ExternalId" in request:
        context["sts:ExternalId"] = request["ExternalId"]
    if "SourceIdentity" in request:
        actions.append("sts:SetSourceIdentity")
        context["sts:SourceIdentity"] = request["SourceIdentity"]
    if request.get("Tags"):
        actions.append("sts:TagSession")
        context["aws:TagKeys"] = [tag["Key"] for tag in request["Tags"]]
        context |= {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in request["Tags"]}
    if request.get("TransitiveTagKeys"):
        context[_TRANSITIVE] = request["TransitiveTagKeys"]
    context |= {f"aws:ResourceTag/{key}": value for key, value in role.tags.items()}
    trust = parse_document(role.trust_policy, Kind.TRUST)
    for action in actions:
        call.platform.identity.authorize(
            call.principal,
            action,
            role.arn,
            source_ip=call.source_ip,
            context=context,
            resource_policies=(trust,),
            resource_must_grant=True,
            request_id=call.request_id,
        )


def _duration(call: Call, role: Entity, request: Mapping[str, Any]) -> int:
    seconds = int(request.get("DurationSeconds", DEFAULT_SECONDS))
    if seconds > role.max_session_seconds:
        raise validation_error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    # The operator stands for the administrator and not for a role that assumes another.
    if call.principal.role_arn is not None and not call.principal.operator and seconds > CHAINED_SECONDS:
        raise validation_error(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    return seconds


def _session_policies(call: Call, request: Mapping[str, Any]) -> tuple[str, ...]:
    policies: list[str] = []
    if "Policy" in request:
        parse_document(request["Policy"])
        policies.append(request["Policy"])
    arns = [item["arn"] for item in request.get("PolicyArns", []) if "arn" in item]
    if len(arns) > 10:
        raise validation_error("1 validation error detected: PolicyArns must have at most 10 members.")
    call.platform.store.read(lambda connection: [managed.find(connection, arn) for arn in arns])
    return (*policies, *arns)


def _session_tags(principal: Principal, request: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Tags of the new session, those inherited from a chained session included, and the keys that go on."""
    asked = [(tag["Key"], tag["Value"]) for tag in request.get("Tags", [])]
    if len({key.lower() for key, _ in asked}) != len(asked):
        raise CallerError(
            "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    inherited_keys = {value.lower() for key, value in principal.session_context if key == _TRANSITIVE}
    inherited = {
        key.removeprefix(_TAG): value
        for key, value in principal.session_context
        if key.startswith(_TAG) and key.removeprefix(_TAG).lower() in inherited_keys
    }
    if clash := inherited_keys & {key.lower() for key, _ in asked}:
        raise CallerError(
            "InvalidParameterValue",
            f"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            f"from the calling session: {', '.join(sorted(clash))}",
        )
    tags = inherited | dict(asked)
    transitive = [*inherited, *request.get("TransitiveTagKeys", [])]
    if unknown := {key.lower() for key in transitive} - {key.lower() for key in tags}:
        raise CallerError(
            "InvalidParameterValue",
            f"Transitive tag keys are not tags of the session: {', '.join(sorted(unknown))}",
        )
    return tags, transitive


def _session_context(
    request: Mapping[str, Any], tags: Mapping[str, str], transitive: list[str]
) -> list[tuple[str, str]]:
    pairs = [(f"{_TAG}{key}", value) for key, value in tags.items()]
    pairs += [(_TRANSITIVE, key) for key in transitive]
    if "SourceIdentity" in request:
        pairs.append(("aws:SourceIdentity", request["SourceIdentity"]))
    return pairs


def _packed_percent(policies: tuple[str, ...], tags: Mapping[str, str]) -> int:
    used = sum(len(policy) for policy in policies) + sum(len(key) + len(value) for key, value in tags.items())
    percent = -(-used * 100 // PACKED_LIMIT)
    if percent > 100:
        raise CallerError(
            "PackedPolicyTooLarge", f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
        )
    return percent


def _credentials(given: TemporaryCredentials) -> dict[str, Any]:
    return {
        "AccessKeyId": given.access_key_id,
        "SecretAccessKey": given.secret_access_key,
        "SessionToken": given.session_token,
        "Expiration": given.expiration,
    }


def _denied(call: Call, action: str, arn: str) -> CallerError:
    return denied(call.principal, action, arn, Decision(Effect.IMPLICIT_DENY, Layer.RESOURCE))
