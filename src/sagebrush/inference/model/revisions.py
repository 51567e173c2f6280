"""What an endpoint runs: its configuration and models, copied when it was created or updated.

So whatever becomes of them later, the endpoint goes on as it was. A revision is kept as a document in the endpoint's
row; its number grows with every new fleet, not with a change of weights and capacities.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sagebrush.inference.model import ignored
from sagebrush.inference.model.containers import Container, container_of
from sagebrush.substrate.resources import Row

#: Seconds in which a container must answer /ping, where the variant says nothing.
DEFAULT_STARTUP_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant with its model."""

    name: str
    model_name: str
    role_arn: str
    container: Container
    instance_type: str
    count: int
    weight: float
    startup_seconds: int = DEFAULT_STARTUP_SECONDS
    #: Seconds more where the configuration gives them: unpacking the model is part of the start here.
    download_seconds: int = 0
    routing: Mapping[str, Any] | None = None
    #: EnableNetworkIsolation of the model or of the configuration: no network and no credentials.
    isolated: bool = False
    #: VolumeSizeInGB; 0 where the configuration names none.
    volume_gb: int = 0
    #: Members of the requests that change nothing here.
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """Everything that decides how an endpoint serves. ``capture`` is the DataCaptureConfig as given."""

    number: int
    config_name: str
    created_us: int
    variants: tuple[Variant, ...]
    capture: Mapping[str, Any] | None = None

    @property
    def slots(self) -> Iterator[tuple[str, int]]:
        """(variant, number) of every instance, numbered from 1."""
        return ((variant.name, n) for variant in self.variants for n in range(1, variant.count + 1))

    @property
    def captures(self) -> bool:
        return self.capture is not None and bool(self.capture.get("EnableCapture"))

    def variant(self, name: str) -> Variant:
        """The variant of that name. Raises KeyError."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(name)

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        variants = [
            {
                "name": v.name,
                "model_name": v.model_name,
                "role_arn": v.role_arn,
                "container": dict(v.container),
                "instance_type": v.instance_type,
                "count": v.count,
                "weight": v.weight,
                "startup_seconds": v.startup_seconds,
                "download_seconds": v.download_seconds,
                "routing": v.routing,
                "isolated": v.isolated,
                "volume_gb": v.volume_gb,
                "ignored": list(v.ignored),
            }
            for v in self.variants
        ]
        return {
            "number": self.number,
            "config_name": self.config_name,
            "created_us": self.created_us,
            "variants": variants,
            "capture": self.capture,
        }


def read(document: Mapping[str, Any] | None) -> Revision | None:
    """The inverse of :meth:`Revision.document`."""
    if document is None:
        return None
    variants = tuple(Variant(**{**v, "ignored": tuple(v.get("ignored", ()))}) for v in document["variants"])
    return Revision(**{**document, "variants": variants})


def models_of(config: Mapping[str, Any]) -> list[str]:
    """The names of the models that a configuration's body names."""
    return [variant["ModelName"] for variant in config["ProductionVariants"]]


def resolve(number: int, config: Row, models: Mapping[str, Row], now_us: int) -> Revision:
    """The revision that a configuration means now."""
    variants = []
    for given in config.body["ProductionVariants"]:
        model = models[given["ModelName"]]
        variants.append(
            Variant(
                name=given["VariantName"],
                model_name=model.name,
                role_arn=model.body["ExecutionRoleArn"],
                container=container_of(model.body),
                instance_type=given["InstanceType"],
                count=given["InitialInstanceCount"],
                weight=given.get("InitialVariantWeight", 1.0),
                startup_seconds=given.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_SECONDS),
                download_seconds=given.get("ModelDataDownloadTimeoutInSeconds", 0),
                routing=given.get("RoutingConfig"),
                isolated=any(body.get("EnableNetworkIsolation", False) for body in (config.body, model.body)),
                volume_gb=given.get("VolumeSizeInGB", 0),
                ignored=tuple(ignored.of_variant(config.body, given, model.body)),
            )
        )
    return Revision(number, config.name, now_us, tuple(variants), config.body.get("DataCaptureConfig"))


def retaining(new: Revision, old: Revision, excluded: Collection[str]) -> Revision:
    """``new`` with the properties that the endpoint has now (RetainAllVariantProperties), but those excluded."""
    kept = {variant.name: variant for variant in old.variants}
    variants = []
    for variant in new.variants:
        if (before := kept.get(variant.name)) is not None:
            if "DesiredInstanceCount" not in excluded:
                variant = replace(variant, count=before.count)
            if "DesiredWeight" not in excluded:
                variant = replace(variant, weight=before.weight)
        variants.append(variant)
    capture = new.capture if "DataCaptureConfig" in excluded else old.capture
    return replace(new, variants=tuple(variants), capture=capture)


def reweighted(revision: Revision, desired: Sequence[Mapping[str, Any]]) -> Revision:
    """The revision with other weights and counts (DesiredWeightsAndCapacities). Raises KeyError for a variant."""
    changes = {wanted["VariantName"]: wanted for wanted in desired}
    for name in changes:
        revision.variant(name)
    variants = tuple(
        replace(
            variant,
            weight=changes.get(variant.name, {}).get("DesiredWeight", variant.weight),
            count=changes.get(variant.name, {}).get("DesiredInstanceCount", variant.count),
        )
        for variant in revision.variants
    )
    return replace(revision, variants=variants)
