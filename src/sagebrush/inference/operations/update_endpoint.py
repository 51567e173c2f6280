"""UpdateEndpoint."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.inference.model import revisions
from sagebrush.inference.operations.changing import begin_update, serving
from sagebrush.inference.operations.resolving import resolved
from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import validation


def update_endpoint(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Record that the endpoint is to serve another configuration: a new fleet, and then the old one goes.

    Raises ValidationException for an endpoint that is missing, on its way or failed, and for what the configuration
    names in vain.
    """
    if request.get("RetainDeploymentConfig") and "DeploymentConfig" in request:
        raise validation("DeploymentConfig cannot be specified when RetainDeploymentConfig is true.")

    def record(tx: Connection) -> str:
        row, current = serving(tx, call, request["EndpointName"])
        number = int(row.body["revision"]) + 1
        coming = resolved(tx, call, request["EndpointConfigName"], number)
        if request.get("RetainAllVariantProperties"):
            excluded = {e["VariantPropertyType"] for e in request.get("ExcludeRetainedVariantProperties", ())}
            coming = revisions.retaining(coming, current, excluded)
        changes: dict[str, Any] = {"revision": number}
        if not request.get("RetainDeploymentConfig"):
            changes["deployment_config"] = request.get("DeploymentConfig")
        begin_update(tx, call, row, coming, changes)
        return row.arn

    return {"EndpointArn": call.platform.store.write(record)}
