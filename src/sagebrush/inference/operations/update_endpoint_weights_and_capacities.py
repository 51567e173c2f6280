"""UpdateEndpointWeightsAndCapacities."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.inference.model import revisions
from sagebrush.inference.model.requests import MOST_INSTANCES
from sagebrush.inference.operations.changing import begin_update, serving
from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import validation


def update_endpoint_weights_and_capacities(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Record other weights and numbers of instances for some variants of the fleet that serves.

    Raises ValidationException for an endpoint that is missing, on its way or failed, and for variants it does not have.
    """
    desired = request["DesiredWeightsAndCapacities"]
    _check(desired)

    def record(tx: Connection) -> str:
        row, current = serving(tx, call, request["EndpointName"])
        try:
            coming = revisions.reweighted(current, desired)
        except KeyError as missing:
            raise validation(f'Could not find variant "{missing.args[0]}" of endpoint "{row.arn}".') from None
        begin_update(tx, call, row, coming, {})
        return row.arn

    return {"EndpointArn": call.platform.store.write(record)}


def _check(desired: list[dict[str, Any]]) -> None:
    names = [wanted["VariantName"] for wanted in desired]
    if len(names) != len(set(names)):
        raise validation("Variant names in DesiredWeightsAndCapacities must be unique.")
    for wanted in desired:
        name, count = wanted["VariantName"], wanted.get("DesiredInstanceCount", 1)
        if wanted.get("ServerlessUpdateConfig"):
            raise validation("ServerlessUpdateConfig: Sagebrush does not support serverless endpoints yet.")
        if not 1 <= count <= MOST_INSTANCES:
            raise validation(
                f"DesiredInstanceCount of variant '{name}' must be between 1 and {MOST_INSTANCES}, but is {count}."
            )
