"""Tags of roles and users; policies see them as ``aws:PrincipalTag/<key>``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from sagebrush.aws.iam import paging, views
from sagebrush.substrate.calls import Call
from sagebrush.substrate.identity import entities
from sagebrush.substrate.identity.entities import ROLE, USER
from sagebrush.substrate.identity.iam_errors import invalid_input, limit_exceeded

MAX_TAGS = 50


def read_tags(listed: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a request. Raises InvalidInput for a key that occurs twice: keys differ by more than case."""
    tags: dict[str, str] = {}
    for tag in listed:
        if tag["Key"].lower() in {key.lower() for key in tags}:
            raise invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        tags[tag["Key"]] = tag["Value"]
    return tags


def tag_role(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Add or replace tags. Raises NoSuchEntity, LimitExceeded beyond 50."""
    return _tag(call, ROLE, request["RoleName"], request)


def untag_role(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags; keys that are not there do nothing."""
    return _untag(call, ROLE, request["RoleName"], request)


def list_role_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A role's tags by key."""
    return _list(call, ROLE, request["RoleName"], request)


def tag_user(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Add or replace tags. Raises NoSuchEntity, LimitExceeded beyond 50."""
    return _tag(call, USER, request["UserName"], request)


def untag_user(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags; keys that are not there do nothing."""
    return _untag(call, USER, request["UserName"], request)


def list_user_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """A user's tags by key."""
    return _list(call, USER, request["UserName"], request)


def _tag(call: Call, kind: str, name: str, request: dict[str, Any]) -> dict[str, Any]:
    added = read_tags(request["Tags"])
    replaced = {key.lower() for key in added}
    return _change(call, kind, name, lambda tags: {k: v for k, v in tags.items() if k.lower() not in replaced} | added)


def _untag(call: Call, kind: str, name: str, request: dict[str, Any]) -> dict[str, Any]:
    gone = {key.lower() for key in request["TagKeys"]}
    return _change(call, kind, name, lambda tags: {k: v for k, v in tags.items() if k.lower() not in gone})


def _change(call: Call, kind: str, name: str, changed: Callable[[Mapping[str, str]], dict[str, str]]) -> dict[str, Any]:
    def write(tx: Connection) -> None:
        entity = entities.find(tx, call.account, kind, name)
        tags = changed(entity.tags)
        if len(tags) > MAX_TAGS:
            raise limit_exceeded(f"The number of tags has reached the maximum limit: {MAX_TAGS}")
        entities.change(tx, entity, tags=json.dumps(tags))

    call.platform.identity.change(write)
    return {}


def _list(call: Call, kind: str, name: str, request: dict[str, Any]) -> dict[str, Any]:
    entity = call.platform.store.read(lambda connection: entities.find(connection, call.account, kind, name))
    page, more = paging.listed(call, request, views.tag_list(entity.tags), lambda tag: tag["Key"])
    return {"Tags": page, **more}
