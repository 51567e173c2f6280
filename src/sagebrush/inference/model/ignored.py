"""Members of requests that are recorded and described, and change nothing here: whoever relies on them should know.

What would be served wrongly without such a member is refused instead (``requests``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sagebrush.inference.model import containers

Request = Mapping[str, Any]

_OF_CONFIG = (
    "ExecutionRoleArn",
    "KmsKeyId",
    "VpcConfig",
    "MetricsConfig.EnableDetailedObservability",
    "MetricsConfig.MetricPublishFrequencyInSeconds",
)
_OF_VARIANT = ("EnableSSMAccess", "InferenceAmiVersion", "VariantInstanceProvisionTimeoutInSeconds")
_OF_MODEL = ("InferenceExecutionConfig", "VpcConfig")
_OF_CONTAINER = ("ImageConfig",)
_OF_DEPLOYMENT = (
    "BlueGreenUpdatePolicy.TrafficRoutingConfiguration.WaitIntervalInSeconds",
    "BlueGreenUpdatePolicy.TerminationWaitInSeconds",
    "BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds",
    "RollingUpdatePolicy",
    "AutoRollbackConfiguration.Alarms",
)
#: What happens here whatever was asked for: requests go where the fewest wait; an update moves them all at once.
_ROUTING, _SHIFTING = "LEAST_OUTSTANDING_REQUESTS", "ALL_AT_ONCE"


def of_variant(config: Request, variant: Request, model: Request) -> list[str]:
    """Those of a variant, the configuration it stands in, and its model."""
    found = _given(config, _OF_CONFIG, "of the endpoint configuration")
    where = f"of production variant {variant['VariantName']}"
    found += _given(variant, _OF_VARIANT, where)
    strategy = variant.get("RoutingConfig", {}).get("RoutingStrategy", _ROUTING)
    found += [f"RoutingConfig.RoutingStrategy {strategy} {where}"] if strategy != _ROUTING else []
    found += _given(model, _OF_MODEL, "of the model")
    container = containers.container_of(model)
    found += _given(container, _OF_CONTAINER, "of the model's container")
    variables = containers.variables_of(container)
    return found + [f"{name}={variables[name]} (not a number)" for name in containers.not_numbers(container)]


def of_capture(capture: Request | None) -> list[str]:
    """Those of a DataCaptureConfig."""
    return _given(capture or {}, ("KmsKeyId",), "of DataCaptureConfig")


def of_deployment(policy: Request | None) -> list[str]:
    """Those of a DeploymentConfig."""
    policy = policy or {}
    routing = policy.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    shifting = routing.get("Type", _SHIFTING)
    found = [f"TrafficRoutingConfiguration.Type {shifting} of DeploymentConfig"] if shifting != _SHIFTING else []
    return found + _given(policy, _OF_DEPLOYMENT, "of DeploymentConfig")


def _given(request: Request, members: Sequence[str], where: str) -> list[str]:
    return [f"{member} {where}" for member in members if _value(request, member)]


def _value(request: Request, member: str) -> Any:
    """What a request has at a path of names."""
    value: Any = request
    for name in member.split("."):
        value = (value or {}).get(name)
    return value
