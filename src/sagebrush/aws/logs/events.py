"""Operations on log events: PutLogEvents, GetLogEvents, FilterLogEvents."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.aws.logs import names, patterns
from sagebrush.aws.logs.groups import read_token
from sagebrush.substrate.calls import Call
from sagebrush.substrate.telemetry import LogEvent, tokens
from sagebrush.substrate.telemetry.logs import EVENT_OVERHEAD, PAGE_EVENTS

#: The rules of a PutLogEvents batch (CloudWatch Logs API reference), times in milliseconds.
BATCH_BYTES = 1_048_576
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
TOO_NEW_MS = 2 * _HOUR_MS
TOO_OLD_MS = 14 * _DAY_MS


def put_log_events(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Append a batch. Events too new, too old or beyond retention are left out, and the answer says which."""
    events = [(event["timestamp"], event["message"]) for event in request["logEvents"]]
    _check_batch(events)
    group_name, stream_name = request["logGroupName"], request["logStreamName"]
    now_ms = call.platform.clock.now_us() // 1000
    store = names.store(call)

    def put(tx: Connection) -> dict[str, Any]:
        group = store.group(tx, group_name)
        stream = store.stream(tx, group_name, stream_name)
        rejected, accepted = _accept(events, now_ms, group.retention_days)
        store.append(tx, group_name, stream_name, accepted)
        result: dict[str, Any] = {"nextSequenceToken": f"{stream.next_sequence + len(accepted):056d}"}
        if rejected:
            result["rejectedLogEventsInfo"] = rejected
        return result

    return call.platform.store.write(put)


def _check_batch(events: list[tuple[int, str]]) -> None:
    times = [time for time, _ in events]
    if times != sorted(times):
        raise names.invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > _DAY_MS:
        raise names.invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    size = sum(len(message.encode()) + EVENT_OVERHEAD for _, message in events)
    if size > BATCH_BYTES:
        raise names.invalid(f"Upload too large: {size} bytes exceeds limit of {BATCH_BYTES}")


def _accept(
    events: list[tuple[int, str]], now_ms: int, retention_days: int | None
) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """(rejectedLogEventsInfo, the events that are taken); events are in chronological order."""
    too_old = sum(time < now_ms - TOO_OLD_MS for time, _ in events)
    expired = 0 if retention_days is None else sum(time < now_ms - retention_days * _DAY_MS for time, _ in events)
    too_new = sum(time > now_ms + TOO_NEW_MS for time, _ in events)
    rejected = {}
    if too_new:
        rejected["tooNewLogEventStartIndex"] = len(events) - too_new
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired:
        rejected["expiredLogEventEndIndex"] = expired
    return rejected, events[max(too_old, expired) : len(events) - too_new]


def get_log_events(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """One page of a stream. Both tokens always come; at an end the page is empty and repeats its token."""
    group = names.group_name(request)
    store = names.store(call)
    page = call.platform.store.read(
        lambda conn: store.read(
            conn,
            group,
            request["logStreamName"],
            start_ms=request.get("startTime"),
            end_ms=request.get("endTime"),
            token=request.get("nextToken"),
            limit=request.get("limit", PAGE_EVENTS),
            from_head=request.get("startFromHead", False),
        )
    )
    events = [{"timestamp": e.timestamp_ms, "message": e.message, "ingestionTime": e.ingestion_ms} for e in page.events]
    return {"events": events, "nextForwardToken": page.forward_token, "nextBackwardToken": page.backward_token}


def filter_log_events(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The matching events of many streams in their order of time; ``nextToken`` only when the search can go on."""
    group = names.group_name(request)
    streams, prefix = request.get("logStreamNames"), request.get("logStreamNamePrefix", "")
    if streams and prefix:
        raise names.invalid("You can't specify both logStreamNames and logStreamNamePrefix.")
    asked = ("logStreamNames", "logStreamNamePrefix", "startTime", "endTime", "filterPattern", "startFromHead")
    bound_to: dict[str, Any] = {"operation": call.operation, "account": call.account, "group": group}
    bound_to |= {name: request.get(name) for name in asked}
    position = read_token(bound_to, request.get("nextToken"))
    matches = patterns.compile_pattern(request.get("filterPattern", ""))
    end_ms = request.get("endTime")
    store = names.store(call)
    page = call.platform.store.read(
        lambda conn: store.filter(
            conn,
            group,
            streams=streams,
            prefix=prefix,
            start_ms=request.get("startTime"),
            # Here, unlike in GetLogEvents, the end belongs to the range.
            end_ms=None if end_ms is None else end_ms + 1,
            position=(position[0], position[1], position[2]) if position else None,
            limit=request.get("limit", PAGE_EVENTS),
            matches=matches,
            from_head=request.get("startFromHead", True),
        )
    )
    result: dict[str, Any] = {"events": [_filtered(e) for e in page.events], "searchedLogStreams": []}
    if page.next_position is not None:
        result["nextToken"] = tokens.seal(bound_to, list(page.next_position))
    return result


def _filtered(event: LogEvent) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingestion_ms,
        "eventId": event.event_id,
    }
