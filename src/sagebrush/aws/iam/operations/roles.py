"""Roles."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.aws.iam import documents, paging, views
from sagebrush.aws.iam.operations.tags import read_tags
from sagebrush.substrate.calls import Call
from sagebrush.substrate.identity import entities, managed
from sagebrush.substrate.identity.entities import DEFAULT_SESSION_SECONDS, ROLE, Entity
from sagebrush.substrate.identity.iam_errors import invalid_input


def create_role(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Create a role. Raises EntityAlreadyExists, MalformedPolicyDocument, LimitExceeded, NoSuchEntity (boundary)."""
    boundary = request.get("PermissionsBoundary")
    role = entities.new_entity(
        call.account,
        ROLE,
        request["RoleName"],
        request.get("Path", "/"),
        call.platform.clock.now_us(),
        trust_policy=request["AssumeRolePolicyDocument"],
        description=request.get("Description"),
        max_session_seconds=request.get("MaxSessionDuration", DEFAULT_SESSION_SECONDS),
        boundary_arn=boundary,
        tags=read_tags(request.get("Tags", [])),
    )

    def write(tx: Connection) -> None:
        documents.check_trust(tx, call.account, role.trust_policy)
        if boundary is not None:
            managed.find(tx, boundary)
        entities.add(tx, role)

    call.platform.identity.change(write)
    return {"Role": views.role(role, whole=True)}


def get_role(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A role, its trust policy percent-encoded. Raises NoSuchEntity."""
    role = call.platform.store.read(lambda connection: find(connection, call, request))
    return {"Role": views.role(role, whole=True)}


def list_roles(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Roles by name, under ``PathPrefix``."""
    roles, more = call.platform.store.read(
        lambda connection: paging.window(
            call,
            request,
            lambda after, limit: entities.page(
                connection,
                call.account,
                ROLE,
                path_prefix=request.get("PathPrefix", "/"),
                after=after,
                limit=limit,
            ),
            lambda role: role.name,
        )
    )
    return {"Roles": [views.role(role, whole=False) for role in roles], **more}


def update_role(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Set description and longest session. Left out, the description is emptied and the session is an hour again."""
    columns: dict[str, Any] = {
        "max_session_seconds": request.get("MaxSessionDuration", DEFAULT_SESSION_SECONDS),
        "description": request.get("Description"),
    }
    call.platform.identity.change(lambda tx: entities.change(tx, find(tx, call, request), **columns))
    return {}


def update_role_description(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Set the description alone; the role then. Raises NoSuchEntity."""

    def write(tx: Connection) -> Entity:
        entities.change(tx, find(tx, call, request), description=request["Description"])
        return find(tx, call, request)

    return {"Role": views.role(call.platform.identity.change(write), whole=True)}


def create_service_linked_role(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Refused: the services that have such roles are AWS's own. Raises InvalidInput."""
    raise invalid_input(
        f"Service-linked roles belong to AWS services; {request['AWSServiceName']} needs none on Sagebrush, which acts "
        "for itself. Create a role that trusts the service instead (CreateRole)."
    )


def update_assume_role_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a role's trust policy. Raises NoSuchEntity, MalformedPolicyDocument."""

    def write(tx: Connection) -> None:
        role = find(tx, call, request)
        documents.check_trust(tx, call.account, request["PolicyDocument"])
        entities.change(tx, role, trust_policy=request["PolicyDocument"])

    call.platform.identity.change(write)
    return {}


def delete_role(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a role without policies. Raises NoSuchEntity, DeleteConflict. Its sessions may do nothing from now on."""
    call.platform.identity.change(lambda tx: entities.remove(tx, find(tx, call, request)))
    return {}


def find(connection: Connection, call: Call, request: dict[str, Any]) -> Entity:
    """The role that the request names."""
    return entities.find(connection, call.account, ROLE, request["RoleName"])
