"""Inline policies, attached policies and permissions boundaries of roles, users and groups."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection

from sagebrush.aws.iam import documents, paging, views
from sagebrush.substrate.calls import Call, Handler
from sagebrush.substrate.identity import entities, entity_policies, managed
from sagebrush.substrate.identity.entities import GROUP, ROLE, USER, Entity
from sagebrush.substrate.identity.iam_errors import no_such_entity

Request = dict[str, Any]
_Operation = Callable[[str, Call, Request], dict[str, Any]]
_NAME_MEMBER = {ROLE: "RoleName", USER: "UserName", GROUP: "GroupName"}


def policy_operations(kind: str) -> dict[str, Handler]:
    """The operations on what hangs on a kind of entity: ``PutRolePolicy`` ... Groups have no boundary."""
    noun = kind.capitalize()
    operations: dict[str, _Operation] = {
        f"Put{noun}Policy": _put_inline,
        f"Get{noun}Policy": _get_inline,
        f"Delete{noun}Policy": _delete_inline,
        f"List{noun}Policies": _list_inline,
        f"Attach{noun}Policy": _attach,
        f"Detach{noun}Policy": _detach,
        f"ListAttached{noun}Policies": _list_attached,
    }
    if kind != GROUP:
        operations[f"Put{noun}PermissionsBoundary"] = _put_boundary
        operations[f"Delete{noun}PermissionsBoundary"] = _delete_boundary
    return {name: partial(operation, kind) for name, operation in operations.items()}


def _find(connection: Connection, call: Call, kind: str, request: Request) -> Entity:
    return entities.find(connection, call.account, kind, request[_NAME_MEMBER[kind]])


def _put_inline(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """Add or replace an inline policy. Raises NoSuchEntity, MalformedPolicyDocument, LimitExceeded."""
    name, document = request["PolicyName"], request["PolicyDocument"]

    def write(tx: Connection) -> None:
        entity = _find(tx, call, kind, request)
        others = [text for other, text in entity_policies.all_inline(tx, entity).items() if other != name]
        documents.check_inline(document, entity, others)
        entity_policies.put_inline(tx, entity, name, document)

    call.platform.identity.change(write)
    return {}


def _get_inline(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """An inline policy, percent-encoded. Raises NoSuchEntity."""

    def read(connection: Connection) -> str:
        return entity_policies.inline(connection, _find(connection, call, kind, request), request["PolicyName"])

    member = _NAME_MEMBER[kind]
    return {
        member: request[member],
        "PolicyName": request["PolicyName"],
        "PolicyDocument": views.encoded(call.platform.store.read(read)),
    }


def _delete_inline(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """Delete an inline policy. Raises NoSuchEntity."""
    call.platform.identity.change(
        lambda tx: entity_policies.delete_inline(tx, _find(tx, call, kind, request), request["PolicyName"])
    )
    return {}


def _list_inline(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """Names of the inline policies."""
    names = call.platform.store.read(
        lambda connection: list(entity_policies.all_inline(connection, _find(connection, call, kind, request)))
    )
    page, more = paging.listed(call, request, names, str)
    return {"PolicyNames": page, **more}


def _attach(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """Attach a managed policy. Raises NoSuchEntity, LimitExceeded beyond ten."""
    call.platform.identity.change(
        lambda tx: entity_policies.attach(tx, _find(tx, call, kind, request), request["PolicyArn"])
    )
    return {}


def _detach(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """Detach a managed policy. Raises NoSuchEntity."""
    call.platform.identity.change(
        lambda tx: entity_policies.detach(tx, _find(tx, call, kind, request), request["PolicyArn"])
    )
    return {}


def _list_attached(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """The attached managed policies."""
    prefix = request.get("PathPrefix", "/")

    def read(connection: Connection) -> list[managed.ManagedPolicy]:
        attached = entity_policies.attached(connection, _find(connection, call, kind, request))
        return [managed.find(connection, arn) for arn in attached]

    policies = [policy for policy in call.platform.store.read(read) if policy.path.startswith(prefix)]
    page, more = paging.listed(call, request, policies, lambda policy: policy.arn)
    return {"AttachedPolicies": [{"PolicyName": policy.name, "PolicyArn": policy.arn} for policy in page], **more}


def _put_boundary(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """Set the policy that limits what the others can grant. Raises NoSuchEntity."""
    return _set_boundary(call, kind, request, request["PermissionsBoundary"])


def _delete_boundary(kind: str, call: Call, request: Request) -> dict[str, Any]:
    """Remove the boundary. Raises NoSuchEntity when there is none."""
    return _set_boundary(call, kind, request, None)


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
