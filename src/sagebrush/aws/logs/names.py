"""Names and ARNs of log groups and streams.

Source: "Actions, resources, and condition keys for Amazon CloudWatch Logs", AWS Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.substrate import arns
from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.telemetry import LogStore

_RESOURCE = "log-group:"


def invalid(message: str) -> CallerError:
    """CloudWatch Logs' error for a request that breaks a rule."""
    return CallerError("InvalidParameterException", message)


def store(call: Call) -> LogStore:
    """The log store of the caller's account and region."""
    return call.platform.telemetry.of(call.account, call.region).logs


def group_name(request: Mapping[str, Any]) -> str:
    """The group a request means: ``logGroupName``, or ``logGroupIdentifier`` as a name or ARN."""
    name, identifier = request.get("logGroupName"), request.get("logGroupIdentifier")
    if name is not None and identifier is not None:
        raise invalid("Specify either logGroupName or logGroupIdentifier, but not both.")
    if name is None and identifier is None:
        raise invalid("You must specify logGroupName or logGroupIdentifier.")
    return str(name) if name is not None else _name_of(str(identifier))


def _name_of(identifier: str) -> str:
    if not identifier.startswith("arn:"):
        return identifier
    return group_of_arn(identifier)


def group_of_arn(arn: str) -> str:
    """The group's name in its ARN, with or without ``:*`` at the end."""
    try:
        parsed = arns.parse(arn)
    except ValueError:
        raise invalid(f"Invalid ARN: {arn}") from None
    if parsed.service != "logs" or not parsed.resource.startswith(_RESOURCE):
        raise invalid(f"The ARN {arn} is not that of a log group.")
    return parsed.resource.removeprefix(_RESOURCE).removesuffix(":*")


def group_arn(call: Call, name: str) -> str:
    """The group's ARN without the ``:*`` (``logGroupArn``, tags)."""
    return arns.build("logs", call.region, call.account, _RESOURCE + name)


def stream_arn(call: Call, group: str, stream: str) -> str:
    """The stream's ARN."""
    return f"{group_arn(call, group)}:log-stream:{stream}"


def all_groups(call: Call, request: Mapping[str, Any]) -> list[str]:
    """For operations that look at every group."""
    return [group_arn(call, "*")]


def group_arns(call: Call, request: Mapping[str, Any]) -> list[str]:
    """What operations on a group act on."""
    return [group_arn(call, group_name(request)) + ":*"]


def stream_arns(call: Call, request: Mapping[str, Any]) -> list[str]:
    """What operations on a stream act on."""
    return [stream_arn(call, group_name(request), request["logStreamName"])]


def tagged_arns(call: Call, request: Mapping[str, Any]) -> list[str]:
    """What the tag operations act on."""
    return [request["resourceArn"]]
