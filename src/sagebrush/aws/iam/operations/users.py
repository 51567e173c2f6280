"""Users and their access keys."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.aws.iam import paging, views
from sagebrush.aws.iam.operations.tags import read_tags
from sagebrush.substrate.calls import Call
from sagebrush.substrate.identity import access_keys, entities, key_uses, managed, renaming
from sagebrush.substrate.identity.access_keys import AccessKey
from sagebrush.substrate.identity.entities import USER, Entity
from sagebrush.substrate.identity.iam_errors import no_such_entity, validation_error
from sagebrush.substrate.identity.key_uses import KeyUse


def create_user(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Create a user without any rights. Raises EntityAlreadyExists, NoSuchEntity (boundary)."""
    boundary = request.get("PermissionsBoundary")
    user = entities.new_entity(
        call.account,
        USER,
        request["UserName"],
        request.get("Path", "/"),
        call.platform.clock.now_us(),
        boundary_arn=boundary,
        tags=read_tags(request.get("Tags", [])),
    )

    def write(tx: Connection) -> None:
        if boundary is not None:
            managed.find(tx, boundary)
        entities.add(tx, user)

    call.platform.identity.change(write)
    return {"User": views.user(user, whole=True)}


def get_user(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A user, or the calling one. Raises NoSuchEntity; ValidationError when a session calls without a name."""
    user = call.platform.store.read(lambda connection: find(connection, call, request))
    return {"User": views.user(user, whole=True)}


def list_users(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Users by name, under ``PathPrefix``."""
    users, more = call.platform.store.read(
        lambda connection: paging.window(
            call,
            request,
            lambda after, limit: entities.page(
                connection,
                call.account,
                USER,
                path_prefix=request.get("PathPrefix", "/"),
                after=after,
                limit=limit,
            ),
            lambda user: user.name,
        )
    )
    return {"Users": [views.user(user, whole=False) for user in users], **more}


def update_user(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Rename or move a user, keys, groups and policies included. Raises NoSuchEntity, EntityAlreadyExists."""
    call.platform.identity.change(
        lambda tx: renaming.rename(tx, find(tx, call, request), request.get("NewUserName"), request.get("NewPath"))
    )
    return {}


def delete_user(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a user without policies and keys. Raises NoSuchEntity, DeleteConflict."""
    call.platform.identity.change(lambda tx: entities.remove(tx, find(tx, call, request)))
    return {}


def create_access_key(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Make an access key; nobody can read its secret again. Raises NoSuchEntity, LimitExceeded beyond two."""
    identity, now_us = call.platform.identity, call.platform.clock.now_us()

    def write(tx: Connection) -> tuple[Entity, AccessKey, str]:
        user = find(tx, call, request)
        return (user, *access_keys.create(tx, identity.keys, user, now_us))

    user, key, secret = identity.change(write)
    return {"AccessKey": _metadata(user, key) | {"SecretAccessKey": secret}}


def list_access_keys(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A user's access keys, without secrets."""

    def read(connection: Connection) -> tuple[Entity, list[AccessKey]]:
        user = find(connection, call, request)
        return user, access_keys.of_user(connection, user)

    user, keys = call.platform.store.read(read)
    page, more = paging.listed(call, request, keys, lambda key: key.access_key_id)
    return {"AccessKeyMetadata": [_metadata(user, key) for key in page], **more}


def update_access_key(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Switch an access key on or off. Raises NoSuchEntity."""
    active = request["Status"] == "Active"
    call.platform.identity.change(
        lambda tx: access_keys.set_active(tx, find(tx, call, request), request["AccessKeyId"], active)
    )
    return {}


def get_access_key_last_used(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """When and for which service a key was last used, up to a minute ago. Raises NoSuchEntity."""
    call.platform.identity.key_uses.write()
    access_key_id = request["AccessKeyId"]

    def read(connection: Connection) -> tuple[str, KeyUse | None]:
        key = access_keys.find(connection, access_key_id)
        user = entities.find_by_arn(connection, key.user_arn) if key is not None else None
        if user is None or user.account != call.account:
            raise no_such_entity(f"The Access Key with id {access_key_id} cannot be found.")
        return user.name, key_uses.last_use(connection, access_key_id)

    name, use = call.platform.store.read(read)
    # AWS says N/A, and gives no date, of a key that nobody has used yet.
    shown: dict[str, Any] = {"ServiceName": "N/A", "Region": "N/A"}
    if use is not None:
        shown = {"LastUsedDate": views.moment(use.used_us), "ServiceName": use.service, "Region": call.region}
    return {"UserName": name, "AccessKeyLastUsed": shown}


def delete_access_key(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete an access key. Raises NoSuchEntity."""
    call.platform.identity.change(lambda tx: access_keys.remove(tx, find(tx, call, request), request["AccessKeyId"]))
    return {}


def find(connection: Connection, call: Call, request: dict[str, Any]) -> Entity:
    """The user that the request names, or the calling one."""
    name = request.get("UserName")
    if name is None:
        if call.principal.role_arn is not None or ":user/" not in call.principal.arn:
            raise validation_error("Must specify userName when calling with non-User credentials")
        name = call.principal.arn.rsplit("/", 1)[-1]
    return entities.find(connection, call.account, USER, name)


def _metadata(user: Entity, key: AccessKey) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "AccessKeyId": key.access_key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": views.moment(key.created_us),
    }
