"""Managed policies: the account's own can be changed, AWS's only read and attached."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.aws.iam import documents, paging, views
from sagebrush.aws.iam.operations.tags import read_tags
from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import access_denied
from sagebrush.substrate.identity import managed
from sagebrush.substrate.identity.entities import Entity
from sagebrush.substrate.identity.iam_errors import no_such_entity
from sagebrush.substrate.identity.managed import ManagedPolicy, PolicyVersion


def create_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Create a policy with version v1. Raises EntityAlreadyExists, MalformedPolicyDocument, LimitExceeded."""
    document = request["PolicyDocument"]
    documents.check_managed(document)
    policy = managed.new_policy(
        call.account,
        request["PolicyName"],
        request.get("Path", "/"),
        call.platform.clock.now_us(),
        description=request.get("Description"),
        tags=read_tags(request.get("Tags", [])),
    )
    call.platform.identity.change(lambda tx: managed.add(tx, policy, document))
    shown = views.policy(policy, attachments=0, boundaries=0, whole=True)
    if not policy.tags:
        del shown["Tags"]
    return {"Policy": shown}


def get_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A policy without its document. Raises NoSuchEntity."""

    def read(connection: Connection) -> dict[str, Any]:
        policy = managed.find(connection, request["PolicyArn"])
        return views.policy(
            policy,
            attachments=managed.attachment_counts(connection).get(policy.arn, 0),
            boundaries=managed.boundary_counts(connection).get(policy.arn, 0),
            whole=True,
        )

    return {"Policy": call.platform.store.read(read)}


def list_policies(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Policies of AWS, of the account, or both (``Scope``), by ARN."""
    scope, prefix = request.get("Scope", "All"), request.get("PathPrefix", "/")
    usage = request.get("PolicyUsageFilter", "PermissionsPolicy")

    def read(connection: Connection) -> tuple[list[ManagedPolicy], dict[str, int], dict[str, int]]:
        found = [*(managed.of_aws() if scope != "Local" else ())]
        found += managed.own(connection, call.account) if scope != "AWS" else []
        return found, managed.attachment_counts(connection), managed.boundary_counts(connection)

    policies, attached, boundaries = call.platform.store.read(read)
    policies = [policy for policy in policies if policy.path.startswith(prefix)]
    if request.get("OnlyAttached"):
        used = boundaries if usage == "PermissionsBoundary" else attached
        policies = [policy for policy in policies if policy.arn in used]
    page, more = paging.listed(call, request, policies, lambda policy: policy.arn)
    shown = [
        views.policy(
            policy,
            attachments=attached.get(policy.arn, 0),
            boundaries=boundaries.get(policy.arn, 0),
            whole=False,
        )
        for policy in page
    ]
    return {"Policies": shown, **more}


def delete_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete an unused policy with one version. Raises NoSuchEntity, DeleteConflict."""
    call.platform.identity.change(lambda tx: managed.remove(tx, _changeable(tx, request)))
    return {}


def create_policy_version(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Add a version; with ``SetAsDefault`` it counts from now on. Raises LimitExceeded beyond five."""
    document, default = request["PolicyDocument"], request.get("SetAsDefault", False)
    documents.check_managed(document)
    now_us = call.platform.clock.now_us()

    def write(tx: Connection) -> dict[str, Any]:
        policy = _changeable(tx, request)
        version = managed.add_version(tx, policy, document, now_us, default=default)
        return views.policy_version(version, version.number if default else policy.default_version, with_document=False)

    return {"PolicyVersion": call.platform.identity.change(write)}


def get_policy_version(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A version with its document, percent-encoded. Raises NoSuchEntity."""

    def read(connection: Connection) -> dict[str, Any]:
        policy = managed.find(connection, request["PolicyArn"])
        version = _version(connection, policy, request["VersionId"])
        return views.policy_version(version, policy.default_version, with_document=True)

    return {"PolicyVersion": call.platform.store.read(read)}


def list_policy_versions(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The versions of a policy, newest first (five at most: there is never a second page)."""

    def read(connection: Connection) -> list[dict[str, Any]]:
        policy = managed.find(connection, request["PolicyArn"])
        return [
            views.policy_version(version, policy.default_version, with_document=False)
            for version in managed.versions(connection, policy)
        ]

    return {"Versions": call.platform.store.read(read), "IsTruncated": False}


def set_default_policy_version(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Make a version the one that counts. Raises NoSuchEntity."""

    def write(tx: Connection) -> None:
        policy = _changeable(tx, request)
        managed.set_default_version(tx, policy, _version(tx, policy, request["VersionId"]).number)

    call.platform.identity.change(write)
    return {}


def delete_policy_version(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a version. Raises NoSuchEntity, DeleteConflict for the default one."""

    def write(tx: Connection) -> None:
        policy = _changeable(tx, request)
        managed.remove_version(tx, policy, _version(tx, policy, request["VersionId"]).number)

    call.platform.identity.change(write)
    return {}


def _changeable(connection: Connection, request: dict[str, Any]) -> ManagedPolicy:
    policy = managed.find(connection, request["PolicyArn"])
    if policy.of_aws:
        raise access_denied(
            f"Policy {policy.arn} is managed by AWS and cannot be changed.", code="AccessDenied", status=403
        )
    return policy


def _version(connection: Connection, policy: ManagedPolicy, version_id: str) -> PolicyVersion:
    for version in managed.versions(connection, policy):
        if views.version_id(version.number) == version_id:
            return version
    raise no_such_entity(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")


def list_entities_for_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Who has the policy: attached, or as permissions boundary (``PolicyUsageFilter``). Raises NoSuchEntity."""
    usage, prefix = request.get("PolicyUsageFilter"), request.get("PathPrefix", "/")

    def read(connection: Connection) -> list[Entity]:
        arn = managed.find(connection, request["PolicyArn"]).arn
        found = managed.attached_to(connection, arn) if usage != "PermissionsBoundary" else []
        found += managed.bounded_by(connection, arn) if usage != "PermissionsPolicy" else []
        return found

    kind = request.get("EntityFilter")
    entities = [e for e in call.platform.store.read(read) if e.path.startswith(prefix)]
    entities = [e for e in entities if kind in (None, e.kind.capitalize())]
    page, more = paging.listed(call, request, entities, lambda entity: entity.arn)
    shown = {
        f"Policy{noun}s": [
            {f"{noun}Name": entity.name, f"{noun}Id": entity.unique_id}
            for entity in page
            if entity.kind.capitalize() == noun
        ]
        for noun in ("Group", "User", "Role")
    }
    return {**shown, **more}
