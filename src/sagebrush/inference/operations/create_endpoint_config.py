"""CreateEndpointConfig."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.inference.model.requests import config_problems
from sagebrush.inference.model.revisions import models_of
from sagebrush.inference.resources import ENDPOINT_CONFIG, MODEL
from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources import Row, answered, fetch, insert


def create_endpoint_config(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Check models and instance types, record the configuration.

    Raises ValidationException, and ResourceLimitExceeded for an instance type bigger than this host where
    ``instances = "strict"``.
    """
    if first := call.platform.store.read(lambda conn: answered(conn, ENDPOINT_CONFIG, call)):
        return {"EndpointConfigArn": first.arn}
    if found := config_problems(request):
        raise validation(" ".join(found))
    _check_instances(call, request)
    body = {member: value for member, value in request.items() if member not in {"EndpointConfigName", "Tags"}}

    def record(tx: Connection) -> Row:
        for name in models_of(request):
            fetch(tx, MODEL, call.account, call.region, name)
        name = request["EndpointConfigName"]
        return insert(tx, ENDPOINT_CONFIG, call=call, name=name, body=body, tags=request.get("Tags", ()))

    return {"EndpointConfigArn": call.platform.store.write(record).arn}


def _check_instances(call: Call, request: dict[str, Any]) -> None:
    compute = call.platform.compute
    for variant in request["ProductionVariants"]:
        instance = compute.instances.get(variant["InstanceType"])
        if instance is None:
            raise validation(f"The instance type {variant['InstanceType']} is not in this platform's catalogue.")
        # Each replica by itself: endpoints reserve nothing, so their number is not held against the host.
        compute.capacity.check(instance)
