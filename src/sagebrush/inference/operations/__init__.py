"""The API of models, endpoint configurations and endpoints: each function records intent; the reconciler does the work.

The plain verbs (Describe, List, Delete of models and configurations) come with the declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.inference.operations.create_endpoint import create_endpoint
from sagebrush.inference.operations.create_endpoint_config import create_endpoint_config
from sagebrush.inference.operations.create_model import create_model
from sagebrush.inference.operations.delete_endpoint import delete_endpoint
from sagebrush.inference.operations.liveness import is_live
from sagebrush.inference.operations.update_endpoint import update_endpoint
from sagebrush.inference.operations.update_endpoint_weights_and_capacities import (
    update_endpoint_weights_and_capacities,
)
from sagebrush.inference.resources import ENDPOINT, ENDPOINT_CONFIG, MODEL
from sagebrush.substrate.calls import Call, Handler
from sagebrush.substrate.calls.capability import ResourceArns
from sagebrush.substrate.resources import Resource, plain_operations

__all__ = ["OPERATIONS", "RESOURCE_ARNS", "is_live"]

OPERATIONS: Mapping[str, Handler] = {
    **plain_operations(MODEL),
    **plain_operations(ENDPOINT_CONFIG),
    **plain_operations(ENDPOINT),
    "CreateModel": create_model,
    "CreateEndpointConfig": create_endpoint_config,
    "CreateEndpoint": create_endpoint,
    "UpdateEndpoint": update_endpoint,
    "UpdateEndpointWeightsAndCapacities": update_endpoint_weights_and_capacities,
    "DeleteEndpoint": delete_endpoint,
}


def _named(*resources: Resource) -> ResourceArns:
    """The ARNs of what a request names."""

    def arns(call: Call, request: Mapping[str, Any]) -> list[str]:
        return [resource.arn(call.account, call.region, request[resource.name_member]) for resource in resources]

    return arns


#: What policies are asked about. Creating and updating an endpoint is also a use of its configuration.
RESOURCE_ARNS: Mapping[str, ResourceArns] = {
    "CreateModel": _named(MODEL),
    "DescribeModel": _named(MODEL),
    "DeleteModel": _named(MODEL),
    "CreateEndpointConfig": _named(ENDPOINT_CONFIG),
    "DescribeEndpointConfig": _named(ENDPOINT_CONFIG),
    "DeleteEndpointConfig": _named(ENDPOINT_CONFIG),
    "CreateEndpoint": _named(ENDPOINT, ENDPOINT_CONFIG),
    "UpdateEndpoint": _named(ENDPOINT, ENDPOINT_CONFIG),
    "DescribeEndpoint": _named(ENDPOINT),
    "UpdateEndpointWeightsAndCapacities": _named(ENDPOINT),
    "DeleteEndpoint": _named(ENDPOINT),
}
