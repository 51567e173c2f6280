"""Everything the control plane serves: the neighbouring AWS services first, then the areas."""

from __future__ import annotations

from typing import Final

from sagebrush import training
from sagebrush.aws import cloudwatch, iam, logs, sts
from sagebrush.substrate.calls import Capability, Registry

CAPABILITIES: Final[tuple[Capability, ...]] = (
    iam.CAPABILITY,
    sts.CAPABILITY,
    logs.CAPABILITY,
    cloudwatch.CAPABILITY,
    training.CAPABILITY,
)

SERVED_SERVICES: Final = frozenset(service.name for capability in CAPABILITIES for service in capability.services)


def registry() -> Registry:
    """Which function answers which operation."""
    return Registry(CAPABILITIES)
