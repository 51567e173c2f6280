"""DeleteEndpoint."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.inference.model.states import Event
from sagebrush.inference.operations.changing import settled
from sagebrush.inference.resources import ENDPOINT
from sagebrush.substrate.calls import Call
from sagebrush.substrate.resources import transition


def delete_endpoint(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Record that the endpoint is to go: requests in flight are answered first.

    Raises ValidationException for an endpoint that is missing or on its way to another state.
    """

    def record(tx: Connection) -> None:
        row = settled(tx, call, request["EndpointName"])
        transition(tx, ENDPOINT, row, Event.DELETE, now_us=call.platform.clock.now_us(), call=call)

    call.platform.store.write(record)
    return {}
