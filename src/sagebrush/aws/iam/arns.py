"""Which ARNs an IAM operation acts on; policies are evaluated against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import access_keys, entities
from sagebrush.substrate.identity.entities import GROUP, ROLE, USER


def role(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The role of ``RoleName``."""
    return [_existing(call, ROLE, request["RoleName"])]


def user(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The user of ``UserName``, or the caller where it is left out."""
    name = request.get("UserName")
    return [_existing(call, USER, name) if name else call.principal.arn]


def group(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The group of ``GroupName``."""
    return [_existing(call, GROUP, request["GroupName"])]


def user_of_key(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The user whose access key ``AccessKeyId`` is; every user where it is nobody's."""
    key = call.platform.store.read(lambda connection: access_keys.find(connection, request["AccessKeyId"]))
    return [key.user_arn if key is not None else f"arn:aws:iam::{call.account}:user/*"]


def user_renamed(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The user as it is and as UpdateUser will make it: both need to be allowed (id_users_rename.html)."""
    return _both(call, USER, request["UserName"], request.get("NewUserName"), request.get("NewPath"))


def group_renamed(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The group as it is and as UpdateGroup will make it."""
    return _both(call, GROUP, request["GroupName"], request.get("NewGroupName"), request.get("NewPath"))


def new_role(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The role that CreateRole will make."""
    return [f"arn:aws:iam::{call.account}:role{request.get('Path', '/')}{request['RoleName']}"]


def new_user(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The user that CreateUser will make."""
    return [f"arn:aws:iam::{call.account}:user{request.get('Path', '/')}{request['UserName']}"]


def new_group(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The group that CreateGroup will make."""
    return [f"arn:aws:iam::{call.account}:group{request.get('Path', '/')}{request['GroupName']}"]


def new_policy(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The policy that CreatePolicy will make."""
    return [f"arn:aws:iam::{call.account}:policy{request.get('Path', '/')}{request['PolicyName']}"]


def policy(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The policy of ``PolicyArn``."""
    return [request["PolicyArn"]]


def service_linked_role(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The role that CreateServiceLinkedRole asks for."""
    return [f"arn:aws:iam::{call.account}:role/aws-service-role/{request['AWSServiceName']}/*"]


def policy_source(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The principal of a simulation."""
    return [request["PolicySourceArn"]]


def _both(call: Call, kind: str, name: str, new_name: str | None, new_path: str | None) -> list[str]:
    before = _existing(call, kind, name)
    path = new_path or before.partition(f":{kind}")[2].removesuffix(name)
    return list(dict.fromkeys((before, f"arn:aws:iam::{call.account}:{kind}{path}{new_name or name}")))


def _existing(call: Call, kind: str, name: str) -> str:
    try:
        found = call.platform.store.read(lambda connection: entities.find(connection, call.account, kind, name))
    except CallerError:
        # What does not exist has no path. Whoever may act on this ARN learns that it is missing from the operation.
        return f"arn:aws:iam::{call.account}:{kind}/{name}"
    return found.arn
