"""DeleteEndpoint."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.inference.model import wording
from sagebrush.inference.model.states import IN_PROGRESS, Event, Status
from sagebrush.inference.resources import ENDPOINT
from sagebrush.substrate.calls import Call
from sagebrush.substrate.resources import fetch, transition


def delete_endpoint(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Record that the endpoint is to go: requests in flight are answered first. One that is going is left to it.

    Raises ValidationException for an endpoint that is missing, being created or being updated.
    """

    def record(tx: Connection) -> None:
        row = fetch(tx, ENDPOINT, call.account, call.region, request["EndpointName"])
        if row.status == Status.DELETING:
            return  # A client whose answer was lost asks again.
        if row.status in IN_PROGRESS:
            raise wording.in_progress(row.arn)
        transition(tx, ENDPOINT, row, Event.DELETE, now_us=call.platform.clock.now_us(), call=call)

    call.platform.store.write(record)
    return {}
