"""Operations on log streams."""

from __future__ import annotations

from typing import Any

from sagebrush.aws.logs import names
from sagebrush.aws.logs.groups import read_token
from sagebrush.substrate.calls import Call
from sagebrush.substrate.telemetry import LogStream, tokens


def create_log_stream(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Create an empty stream. Raises ResourceAlreadyExistsException, ResourceNotFoundException for the group."""
    store = names.store(call)
    call.platform.store.write(lambda tx: store.create_stream(tx, request["logGroupName"], request["logStreamName"]))
    return {}


def delete_log_stream(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a stream with its events."""
    store = names.store(call)
    call.platform.store.write(lambda tx: store.delete_stream(tx, request["logGroupName"], request["logStreamName"]))
    return {}


def describe_log_streams(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Streams by name or by last event; ``nextToken`` only when another page exists (the SDK loops on it)."""
    group = names.group_name(request)
    prefix = request.get("logStreamNamePrefix", "")
    order_by, descending = request.get("orderBy", "LogStreamName"), request.get("descending", False)
    if prefix and order_by == "LastEventTime":
        raise names.invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    limit = request.get("limit", 50)
    bound_to = {"operation": call.operation, "account": call.account, "group": group, "prefix": prefix}
    bound_to |= {"order": order_by, "descending": descending}
    after = read_token(bound_to, request.get("nextToken"))
    store = names.store(call)
    found = call.platform.store.read(
        lambda conn: store.list_streams(
            conn,
            store.group(conn, group),
            prefix=prefix,
            by_last_event=order_by == "LastEventTime",
            descending=descending,
            after=(after[0], after[1]) if after else None,
            limit=limit + 1,
        )
    )
    result: dict[str, Any] = {"logStreams": [_described(call, group, stream) for stream in found[:limit]]}
    if len(found) > limit:
        last = found[limit - 1]
        result["nextToken"] = tokens.seal(bound_to, [last.last_event_ms or 0, last.name])
    return result


def _described(call: Call, group: str, stream: LogStream) -> dict[str, Any]:
    described: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created_us // 1000,
        "arn": names.stream_arn(call, group, stream.name),
        # AWS answers 0 here since 2019 and shows sizes for groups only.
        "storedBytes": 0,
        "uploadSequenceToken": f"{stream.next_sequence:056d}",
    }
    times = {
        "firstEventTimestamp": stream.first_event_ms,
        "lastEventTimestamp": stream.last_event_ms,
        "lastIngestionTime": stream.last_ingestion_ms,
    }
    return described | {name: time for name, time in times.items() if time is not None}
