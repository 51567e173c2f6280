"""CreateEndpoint."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.inference.operations.resolving import resolved
from sagebrush.inference.resources import ENDPOINT
from sagebrush.substrate.calls import Call
from sagebrush.substrate.resources import Row, answered, find, insert


def create_endpoint(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Record the endpoint with a copy of its configuration and models; its replicas are started in the background.

    Raises ValidationException for a name that is taken, a configuration or model that is not there.
    """
    name, config_name = request["EndpointName"], request["EndpointConfigName"]

    def record(tx: Connection) -> Row:
        if first := answered(tx, ENDPOINT, call):
            return first
        if existing := find(tx, ENDPOINT, call.account, call.region, name):
            raise ENDPOINT.existing(name, existing.arn)
        body: dict[str, Any] = {"next": resolved(tx, call, config_name, 1).document(), "revision": 1}
        if "DeploymentConfig" in request:
            body["deployment_config"] = request["DeploymentConfig"]
        return insert(tx, ENDPOINT, call=call, name=name, body=body, tags=request.get("Tags", ()))

    return {"EndpointArn": call.platform.store.write(record).arn}
