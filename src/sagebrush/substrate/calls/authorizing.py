"""May this call be made? The one place that asks, for every operation of every service of the control plane.

Three questions: the operation's own action on each resource it acts on; ``iam:PassRole`` on every role that the
request hands over (id_roles_use_passrole.html); ``sagemaker:AddTags`` where a resource is made with tags
(security_iam_id-based-policy-examples.html, "Provide permissions for tagging").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sagebrush.substrate.calls import condition_keys
from sagebrush.substrate.calls.call import Call
from sagebrush.substrate.calls.capability import Service
from sagebrush.substrate.calls.request_members import members
from sagebrush.substrate.identity.context import ContextValue
from sagebrush.substrate.resources.tag_rows import tags_of_arn

if TYPE_CHECKING:
    from sagebrush.substrate.calls.registry import Operation
    from sagebrush.substrate.platform import Platform

#: Services that are handed roles, and who assumes these then.
_PASSED_TO: Mapping[str, str] = {"sagemaker": "sagemaker.amazonaws.com"}
#: Every name that a member of SageMaker's shape RoleArn has; a test holds the list against botocore.
ROLE_MEMBERS = frozenset(
    """
    RoleArn RoleARN ExecutionRoleArn ExecutionRoleARN ExecutionRole ExecutionRoleArns DomainExecutionRoleArn
    AssumableRoleArns ValidationRole ClusterRole ClusterRoleArn AmazonForecastRoleArn AmazonBedrockRoleArn
    CrossAccountModelRegisterRoleArn
    """.split()  # noqa: SIM905
)


def authorize(operation: Operation, call: Call, request: Mapping[str, Any]) -> None:
    """Return when the caller's policies allow the call. Raises CallerError AccessDenied for the first thing missing."""
    service = operation.service
    if operation.name in service.open_operations:
        return
    arns = operation.resource_arns(call, request)
    of_request = _once(lambda: _request_keys(service, call, request))
    for arn in arns:
        _ask(call, operation.action, arn, of_request)
    if service.name != "sagemaker":
        return
    if operation.name.startswith("Create") and condition_keys.sets_tags(request):
        tagging = _once(lambda: {**of_request(), "sagemaker:TaggingAction": operation.name})
        for arn in arns:
            _ask(call, "sagemaker:AddTags", arn, tagging)
    passing: dict[str, ContextValue] = {
        "iam:PassedToService": _PASSED_TO[service.name],
        "iam:AssociatedResourceArn": tuple(arns),
    }
    for role in passed_roles(request):
        _ask(call, "iam:PassRole", role, lambda: passing)


def passed_roles(request: Mapping[str, Any]) -> list[str]:
    """The roles that a request hands over, each once."""
    return list(dict.fromkeys(str(value) for path, value in members(request) if path[-1] in ROLE_MEMBERS and value))


def resource_tags(platform: Platform, arn: str) -> Mapping[str, str]:
    """The tags that ``aws:ResourceTag`` stands for: those of IAM's entities, and of every declared resource."""
    if arn.startswith("arn:aws:iam:"):
        return platform.identity.tags_of(arn)
    return platform.store.read(lambda connection: tags_of_arn(connection, arn))


def _request_keys(service: Service, call: Call, request: Mapping[str, Any]) -> Mapping[str, ContextValue]:
    keys = condition_keys.of_tags(request) | dict(service.condition_keys(call, request))
    if service.name == "sagemaker":
        keys |= condition_keys.of_sagemaker(request, account=call.account, region=call.region)
    return keys


def _ask(call: Call, action: str, arn: str, keys: Callable[[], Mapping[str, ContextValue]]) -> None:
    call.platform.identity.authorize(
        call.principal,
        action,
        arn,
        source_ip=call.source_ip,
        context=keys,
        resource_tags=lambda: resource_tags(call.platform, arn),
        request_id=call.request_id,
    )


def _once(make: Callable[[], Mapping[str, ContextValue]]) -> Callable[[], Mapping[str, ContextValue]]:
    made: list[Mapping[str, ContextValue]] = []

    def get() -> Mapping[str, ContextValue]:
        if not made:
            made.append(make())
        return made[0]

    return get
