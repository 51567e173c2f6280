"""Everything the control plane serves: the neighbouring AWS services first, then the areas."""

from __future__ import annotations

from typing import Final

from sagebrush import inference, lineage, studio, training
from sagebrush.aws import cloudwatch, iam, logs, sts
from sagebrush.substrate.calls import Capability, Registry, Service
from sagebrush.substrate.resources.tagging import TAG_OPERATIONS, tagged_resource

#: Operations of SageMaker that act on every noun alike, so no area owns them.
EVERY_NOUN: Final = Capability(
    name="every-noun",
    services=(
        Service(
            name="sagemaker",
            iam_prefix="sagemaker",
            operations=TAG_OPERATIONS,
            resource_arns=dict.fromkeys(TAG_OPERATIONS, tagged_resource),
        ),
    ),
)

CAPABILITIES: Final[tuple[Capability, ...]] = (
    iam.CAPABILITY,
    sts.CAPABILITY,
    logs.CAPABILITY,
    cloudwatch.CAPABILITY,
    EVERY_NOUN,
    training.CAPABILITY,
    inference.CAPABILITY,
    lineage.CAPABILITY,
    studio.CAPABILITY,
)

SERVED_SERVICES: Final = frozenset(service.name for capability in CAPABILITIES for service in capability.services)


def registry() -> Registry:
    """Which function answers which operation."""
    return Registry(CAPABILITIES)
