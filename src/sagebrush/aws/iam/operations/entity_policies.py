"""Inline policies, attached policies and permissions boundaries of roles and users."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.aws.iam import documents, paging, views
from sagebrush.substrate.calls import Call
from sagebrush.substrate.identity import entities, entity_policies, managed
from sagebrush.substrate.identity.entities import ROLE, USER, Entity
from sagebrush.substrate.identity.iam_errors import no_such_entity

Request = dict[str, Any]
_NAME_MEMBER = {ROLE: "RoleName", USER: "UserName"}


def put_role_policy(call: Call, request: Request) -> dict[str, Any]:
    """Add or replace an inline policy. Raises NoSuchEntity, MalformedPolicyDocument, LimitExceeded."""
    return _put_inline(call, ROLE, request)


def get_role_policy(call: Call, request: Request) -> dict[str, Any]:
    """An inline policy, percent-encoded. Raises NoSuchEntity."""
    return _get_inline(call, ROLE, request)


def delete_role_policy(call: Call, request: Request) -> dict[str, Any]:
    """Delete an inline policy. Raises NoSuchEntity."""
    return _delete_inline(call, ROLE, request)


def list_role_policies(call: Call, request: Request) -> dict[str, Any]:
    """Names of a role's inline policies."""
    return _list_inline(call, ROLE, request)


def put_user_policy(call: Call, request: Request) -> dict[str, Any]:
    """Add or replace an inline policy. Raises NoSuchEntity, MalformedPolicyDocument, LimitExceeded."""
    return _put_inline(call, USER, request)


def get_user_policy(call: Call, request: Request) -> dict[str, Any]:
    """An inline policy, percent-encoded. Raises NoSuchEntity."""
    return _get_inline(call, USER, request)


def delete_user_policy(call: Call, request: Request) -> dict[str, Any]:
    """Delete an inline policy. Raises NoSuchEntity."""
    return _delete_inline(call, USER, request)


def list_user_policies(call: Call, request: Request) -> dict[str, Any]:
    """Names of a user's inline policies."""
    return _list_inline(call, USER, request)


def attach_role_policy(call: Call, request: Request) -> dict[str, Any]:
    """Attach a managed policy. Raises NoSuchEntity, LimitExceeded beyond ten."""
    return _attach(call, ROLE, request)


def detach_role_policy(call: Call, request: Request) -> dict[str, Any]:
    """Detach a managed policy. Raises NoSuchEntity."""
    return _detach(call, ROLE, request)


def list_attached_role_policies(call: Call, request: Request) -> dict[str, Any]:
    """Managed policies attached to a role."""
    return _list_attached(call, ROLE, request)


def attach_user_policy(call: Call, request: Request) -> dict[str, Any]:
    """Attach a managed policy. Raises NoSuchEntity, LimitExceeded beyond ten."""
    return _attach(call, USER, request)


def detach_user_policy(call: Call, request: Request) -> dict[str, Any]:
    """Detach a managed policy. Raises NoSuchEntity."""
    return _detach(call, USER, request)


def list_attached_user_policies(call: Call, request: Request) -> dict[str, Any]:
    """Managed policies attached to a user."""
    return _list_attached(call, USER, request)


def put_role_permissions_boundary(call: Call, request: Request) -> dict[str, Any]:
    """Set the policy that limits what a role's policies can grant. Raises NoSuchEntity."""
    return _set_boundary(call, ROLE, request, request["PermissionsBoundary"])


def delete_role_permissions_boundary(call: Call, request: Request) -> dict[str, Any]:
    """Remove a role's boundary. Raises NoSuchEntity when there is none."""
    return _set_boundary(call, ROLE, request, None)


def put_user_permissions_boundary(call: Call, request: Request) -> dict[str, Any]:
    """Set the policy that limits what a user's policies can grant. Raises NoSuchEntity."""
    return _set_boundary(call, USER, request, request["PermissionsBoundary"])


def delete_user_permissions_boundary(call: Call, request: Request) -> dict[str, Any]:
    """Remove a user's boundary. Raises NoSuchEntity when there is none."""
    return _set_boundary(call, USER, request, None)


def _find(connection: Connection, call: Call, kind: str, request: Request) -> Entity:
    return entities.find(connection, call.account, kind, request[_NAME_MEMBER[kind]])


def _put_inline(call: Call, kind: str, request: Request) -> dict[str, Any]:
    name, document = request["PolicyName"], request["PolicyDocument"]

    def write(tx: Connection) -> None:
        entity = _find(tx, call, kind, request)
        others = [text for other, text in entity_policies.all_inline(tx, entity).items() if other != name]
        documents.check_inline(document, entity, others)
        entity_policies.put_inline(tx, entity, name, document)

    call.platform.identity.change(write)
    return {}


def _get_inline(call: Call, kind: str, request: Request) -> dict[str, Any]:
    def read(connection: Connection) -> str:
        return entity_policies.inline(connection, _find(connection, call, kind, request), request["PolicyName"])

    member = _NAME_MEMBER[kind]
    return {
        member: request[member],
        "PolicyName": request["PolicyName"],
        "PolicyDocument": views.encoded(call.platform.store.read(read)),
    }


def _delete_inline(call: Call, kind: str, request: Request) -> dict[str, Any]:
    call.platform.identity.change(
        lambda tx: entity_policies.delete_inline(tx, _find(tx, call, kind, request), request["PolicyName"])
    )
    return {}


def _list_inline(call: Call, kind: str, request: Request) -> dict[str, Any]:
    names = call.platform.store.read(
        lambda connection: list(entity_policies.all_inline(connection, _find(connection, call, kind, request)))
    )
    page, more = paging.listed(call, request, names, str)
    return {"PolicyNames": page, **more}


def _attach(call: Call, kind: str, request: Request) -> dict[str, Any]:
    call.platform.identity.change(
        lambda tx: entity_policies.attach(tx, _find(tx, call, kind, request), request["PolicyArn"])
    )
    return {}


def _detach(call: Call, kind: str, request: Request) -> dict[str, Any]:
    call.platform.identity.change(
        lambda tx: entity_policies.detach(tx, _find(tx, call, kind, request), request["PolicyArn"])
    )
    return {}


def _list_attached(call: Call, kind: str, request: Request) -> dict[str, Any]:
    prefix = request.get("PathPrefix", "/")

    def read(connection: Connection) -> list[managed.ManagedPolicy]:
        attached = entity_policies.attached(connection, _find(connection, call, kind, request))
        return [managed.find(connection, arn) for arn in attached]

    policies = [policy for policy in call.platform.store.read(read) if policy.path.startswith(prefix)]
    page, more = paging.listed(call, request, policies, lambda policy: policy.arn)
    return {"AttachedPolicies": [{"PolicyName": policy.name, "PolicyArn": policy.arn} for policy in page], **more}


def _set_boundary(call: Call, kind: str, request: Request, boundary_arn: str | None) -> dict[str, Any]:
    def write(tx: Connection) -> None:
        entity = _find(tx, call, kind, request)
        if boundary_arn is not None:
            managed.find(tx, boundary_arn)
        elif entity.boundary_arn is None:
            raise no_such_entity(f"{kind.capitalize()} {entity.name} does not have a permissions boundary.")
        entities.change(tx, entity, boundary_arn=boundary_arn)

    call.platform.identity.change(write)
    return {}
