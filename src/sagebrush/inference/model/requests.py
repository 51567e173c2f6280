"""What CreateModel and CreateEndpointConfig refuse beyond the shapes of the API: pure checks of the request alone.

What needs the platform (the role, the image, the model's data, the size of this host) is checked by the operation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sagebrush.inference.model import containers
from sagebrush.substrate.objects import locations

Request = Mapping[str, Any]

#: Replicas of one variant on one machine.
MOST_INSTANCES = 100
_UNSUPPORTED_CONTAINER = {
    "ModelPackageName": "model packages",
    "InferenceSpecificationName": "model packages",
    "MultiModelConfig": "multi-model endpoints",
    "AdditionalModelDataSources": "additional model data sources",
    "ContainerMetricsConfig": "metrics endpoints of containers",
}
_UNSUPPORTED_SOURCE = {
    "HubAccessConfig": "model hubs",
    "ManifestS3Uri": "manifests of model data",
    "ManifestEtag": "manifests of model data",
}
_UNSUPPORTED_CONFIG = {
    "AsyncInferenceConfig": "asynchronous inference",
    "ExplainerConfig": "online explainability",
    "ShadowProductionVariants": "shadow variants",
    "CrossRegionTrafficConfig": "traffic between regions",
}
_UNSUPPORTED_VARIANT = {
    "ServerlessConfig": "serverless endpoints",
    "ManagedInstanceScaling": "managed instance scaling",
    "AcceleratorType": "elastic inference accelerators",
    "InstancePools": "instance pools",
    "CapacityReservationConfig": "capacity reservations",
    "CoreDumpConfig": "core dumps of containers",
    "AcceleratorPartitionLayouts": "partitions of accelerators",
}


def model_problems(request: Request) -> list[str]:
    """Everything wrong with a CreateModel, in SageMaker's wording where it has one; empty when it can be served."""
    return list(_model(request))


def config_problems(request: Request) -> list[str]:
    """Everything wrong with a CreateEndpointConfig."""
    return list(_config(request))


def _unsupported(given: Request, members: Mapping[str, str], where: str = "") -> Iterator[str]:
    for member, what in members.items():
        if given.get(member):
            yield f"{where}{member}: Sagebrush does not support {what} yet."


def _model(request: Request) -> Iterator[str]:
    if not request.get("ExecutionRoleArn"):
        yield "ExecutionRoleArn is required."
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if bool(primary) == bool(several):
        yield "You must specify exactly one of PrimaryContainer and Containers."
        return
    if several and len(several) > 1:
        yield f"Containers: Sagebrush does not support models of several containers yet; {len(several)} were given."
        return
    where = "PrimaryContainer" if primary else "Containers[0]"
    yield from _container(containers.container_of(request), where)


def _container(container: Request, where: str) -> Iterator[str]:
    yield from _unsupported(container, _UNSUPPORTED_CONTAINER, f"{where}.")
    if container.get("Mode", "SingleModel") != "SingleModel":
        yield f"{where}.Mode '{container['Mode']}': Sagebrush does not support multi-model endpoints yet."
    if not container.get("Image") and not container.get("ModelPackageName"):
        yield f"{where}.Image is required."
    yield from _model_data(container, where)
    for name, text in containers.variables_of(container).items():
        if "\0" in text or "\0" in name or "=" in name:
            yield f"Environment variable '{name}' of {where} contains a character that no process can be given."
    if uri := containers.code_uri(container):
        yield from _bad_uri(uri, f"{containers.SUBMIT_DIRECTORY} of {where}")


def _model_data(container: Request, where: str) -> Iterator[str]:
    source = container.get("ModelDataSource")
    if source is not None and container.get("ModelDataUrl"):
        yield f"Only one of ModelDataUrl and ModelDataSource can be specified in {where}."
        return
    if source is None:
        if uri := container.get("ModelDataUrl"):
            yield from _bad_uri(uri, f"{where}.ModelDataUrl")
        return
    s3 = source.get("S3DataSource")
    if s3 is None:
        yield f"{where}.ModelDataSource must have an S3DataSource."
        return
    yield from _unsupported(s3, _UNSUPPORTED_SOURCE, f"{where}.ModelDataSource.S3DataSource.")
    yield from _bad_uri(s3["S3Uri"], f"{where}.ModelDataSource.S3DataSource.S3Uri")
    if s3["S3DataType"] == "S3Prefix":
        if s3["CompressionType"] == "Gzip":
            yield f"CompressionType 'Gzip' in {where}.ModelDataSource can only be used with S3DataType 'S3Object'."
        if not s3["S3Uri"].endswith("/"):
            yield f"S3Uri in {where}.ModelDataSource must end with a slash (/) for S3DataType 'S3Prefix'."
    elif locations.is_valid(s3["S3Uri"]) and not locations.parse(s3["S3Uri"]).key.rpartition("/")[2]:
        yield f"S3Uri in {where}.ModelDataSource must name an object for S3DataType 'S3Object'."


def _bad_uri(uri: str, where: str) -> Iterator[str]:
    if not locations.is_valid(uri):
        yield f"{where} is not a valid S3 URI: {uri}"


def _config(request: Request) -> Iterator[str]:
    yield from _unsupported(request, _UNSUPPORTED_CONFIG)
    if request.get("MetricsConfig", {}).get("EnableEnhancedMetrics"):
        yield "MetricsConfig.EnableEnhancedMetrics: Sagebrush does not support enhanced metrics yet."
    variants = request["ProductionVariants"]
    for name, count in Counter(v["VariantName"] for v in variants).items():
        if count > 1:
            yield f"Variant names must be unique within an endpoint configuration: '{name}' occurs {count} times."
    for variant in variants:
        yield from _variant(variant)
    if (capture := request.get("DataCaptureConfig")) is not None:
        yield from _bad_uri(capture["DestinationS3Uri"], "DataCaptureConfig.DestinationS3Uri")


def _variant(variant: Request) -> Iterator[str]:
    name = variant["VariantName"]
    where = f"ProductionVariants '{name}'."
    unsupported = list(_unsupported(variant, _UNSUPPORTED_VARIANT, where))
    yield from unsupported
    if not variant.get("ModelName"):
        yield f"{where}ModelName is required: Sagebrush does not support inference components yet."
    if unsupported:
        return  # Such a variant has other members in place of these.
    if not variant.get("InstanceType"):
        yield f"{where}InstanceType is required."
    count = variant.get("InitialInstanceCount")
    if count is None:
        yield f"{where}InitialInstanceCount is required."
    elif count > MOST_INSTANCES:
        yield f"{where}InitialInstanceCount is {count}; one machine serves at most {MOST_INSTANCES} of a variant."
