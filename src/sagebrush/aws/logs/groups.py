"""Operations on log groups."""

from __future__ import annotations

from typing import Any

from sagebrush.aws.logs import names
from sagebrush.substrate.calls import Call
from sagebrush.substrate.telemetry import LogGroup, tokens

#: What PutRetentionPolicy takes, in days (CloudWatch Logs API reference).
RETENTION_DAYS = frozenset(
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
)


def create_log_group(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Create an empty group. Raises ResourceAlreadyExistsException."""
    for member in ("kmsKeyId", "deletionProtectionEnabled"):
        if request.get(member):
            raise names.invalid(f"{member} is not supported by this endpoint; leave it out.")
    name = request["logGroupName"]
    group_class, tags = request.get("logGroupClass", "STANDARD"), request.get("tags", {})
    store = names.store(call)
    call.platform.store.write(lambda tx: store.create_group(tx, name, group_class=group_class, tags=tags))
    return {}


def delete_log_group(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a group with its streams and events."""
    store = names.store(call)
    call.platform.store.write(lambda tx: store.delete_group(tx, request["logGroupName"]))
    return {}


def put_retention_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Set for how many days the group's events are shown."""
    days = request["retentionInDays"]
    if days not in RETENTION_DAYS:
        legal = ", ".join(map(str, sorted(RETENTION_DAYS)))
        raise names.invalid(f"retentionInDays is {days}; it must be one of {legal}.")
    store = names.store(call)
    call.platform.store.write(lambda tx: store.set_retention(tx, request["logGroupName"], days))
    return {}


def delete_retention_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Keep the group's events for ever."""
    store = names.store(call)
    call.platform.store.write(lambda tx: store.set_retention(tx, request["logGroupName"], None))
    return {}


def describe_log_groups(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Groups by name; ``nextToken`` only when another page exists."""
    prefix, pattern = request.get("logGroupNamePrefix", ""), request.get("logGroupNamePattern", "")
    if prefix and pattern:
        raise names.invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    limit = request.get("limit", 50)
    bound_to = {"operation": call.operation, "account": call.account, "prefix": prefix, "pattern": pattern}
    after = read_token(bound_to, request.get("nextToken"))
    store = names.store(call)
    found = call.platform.store.read(
        lambda conn: store.list_groups(
            conn, prefix=prefix, pattern=pattern, after=after[0] if after else None, limit=limit + 1
        )
    )
    result: dict[str, Any] = {"logGroups": [_described(call, group) for group in found[:limit]]}
    if len(found) > limit:
        result["nextToken"] = tokens.seal(bound_to, [found[limit - 1].name])
    return result


def read_token(bound_to: dict[str, Any], token: str | None) -> list[Any] | None:
    """The position in a listing's token. Raises InvalidParameterException for one that is not this listing's."""
    if token is None:
        return None
    try:
        return tokens.unseal(bound_to, token)
    except ValueError:
        raise names.invalid("The specified nextToken is invalid.") from None


def list_tags_for_resource(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The tags of a group."""
    name = names.group_of_arn(request["resourceArn"])
    store = names.store(call)
    return {"tags": dict(call.platform.store.read(lambda conn: store.group(conn, name)).tags)}


def tag_resource(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags to a group, or change them."""
    _change_tags(call, request["resourceArn"], request["tags"], [])
    return {}


def untag_resource(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags from a group."""
    _change_tags(call, request["resourceArn"], {}, request["tagKeys"])
    return {}


def _change_tags(call: Call, arn: str, added: dict[str, str], removed: list[str]) -> None:
    name = names.group_of_arn(arn)
    store = names.store(call)

    def change(tx: Any) -> None:
        tags = dict(store.group(tx, name).tags) | added
        store.set_tags(tx, name, {key: value for key, value in tags.items() if key not in removed})

    call.platform.store.write(change)


def _described(call: Call, group: LogGroup) -> dict[str, Any]:
    described: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created_us // 1000,
        "metricFilterCount": 0,
        "arn": names.group_arn(call, group.name) + ":*",
        "logGroupArn": names.group_arn(call, group.name),
        "storedBytes": group.stored_bytes,
        "logGroupClass": group.group_class,
    }
    if group.retention_days is not None:
        described["retentionInDays"] = group.retention_days
    return described
