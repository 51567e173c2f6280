"""Groups and who is in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.aws.iam import paging, views
from sagebrush.substrate.calls import Call
from sagebrush.substrate.identity import entities, groups, renaming
from sagebrush.substrate.identity.entities import GROUP, USER, Entity


def create_group(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Create a group without any rights. Raises EntityAlreadyExists."""
    now_us = call.platform.clock.now_us()
    group = entities.new_entity(call.account, GROUP, request["GroupName"], request.get("Path", "/"), now_us)
    call.platform.identity.change(lambda tx: entities.add(tx, group))
    return {"Group": views.group(group)}


def get_group(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A group and, page by page, its users. Raises NoSuchEntity."""

    def read(connection: Connection) -> tuple[Entity, list[Entity]]:
        group = _group(connection, call, request)
        return group, groups.users_of(connection, group)

    group, users = call.platform.store.read(read)
    page, more = paging.listed(call, request, users, lambda user: user.name)
    return {"Group": views.group(group), "Users": [views.user(user, whole=False) for user in page], **more}


def list_groups(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Groups by name, under ``PathPrefix``."""
    found, more = call.platform.store.read(
        lambda connection: paging.window(
            call,
            request,
            lambda after, limit: entities.page(
                connection,
                call.account,
                GROUP,
                path_prefix=request.get("PathPrefix", "/"),
                after=after,
                limit=limit,
            ),
            lambda group: group.name,
        )
    )
    return {"Groups": [views.group(group) for group in found], **more}


def update_group(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Rename or move a group, its users and policies included. Raises NoSuchEntity, EntityAlreadyExists."""
    call.platform.identity.change(
        lambda tx: renaming.rename(tx, _group(tx, call, request), request.get("NewGroupName"), request.get("NewPath"))
    )
    return {}


def delete_group(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a group without policies and users. Raises NoSuchEntity, DeleteConflict."""
    call.platform.identity.change(lambda tx: entities.remove(tx, _group(tx, call, request)))
    return {}


def add_user_to_group(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """From now on the group's policies count for the user. Raises NoSuchEntity, LimitExceeded beyond ten groups."""
    call.platform.identity.change(
        lambda tx: groups.add_user(
            tx, _group(tx, call, request), entities.find(tx, call.account, USER, request["UserName"])
        )
    )
    return {}


def remove_user_from_group(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The group's policies count no longer. Raises NoSuchEntity."""
    call.platform.identity.change(
        lambda tx: groups.remove_user(
            tx, _group(tx, call, request), entities.find(tx, call.account, USER, request["UserName"])
        )
    )
    return {}


def list_groups_for_user(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The groups that a user is in. Raises NoSuchEntity."""
    found = call.platform.store.read(
        lambda connection: groups.groups_of(
            connection, entities.find(connection, call.account, USER, request["UserName"])
        )
    )
    page, more = paging.listed(call, request, found, lambda group: group.name)
    return {"Groups": [views.group(group) for group in page], **more}


def _group(connection: Connection, call: Call, request: dict[str, Any]) -> Entity:
    return entities.find(connection, call.account, GROUP, request["GroupName"])
