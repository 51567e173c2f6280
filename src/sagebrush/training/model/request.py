"""What CreateTrainingJob refuses beyond the shapes of the API: pure checks of the request alone.

Each check yields messages; :func:`problems` gives all of them. What needs the platform (the role, the image, the
size of this host) is checked by the operation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import regex

from sagebrush.substrate.objects import locations
from sagebrush.training.model import times

Request = Mapping[str, Any]

#: Hosts of one job on one machine; the number is part of a loopback address.
MOST_HOSTS = 100
DEFAULT_CHECKPOINT_PATH = "/opt/ml/checkpoints"
#: Bytes: far below a kernel's longest path, and its longest name.
_LONGEST_LOCAL_PATH = 1024
_LONGEST_NAME = 255
#: Folders of /opt/ml that have a meaning of their own.
_RESERVED = ("/opt/ml/input", "/opt/ml/model", "/opt/ml/output", "/opt/ml/code")
#: Members of CreateTrainingJob that would change what runs, and that Sagebrush does not do yet.
_UNSUPPORTED = {
    "ServerlessJobConfig": "serverless training jobs",
    "MlflowConfig": "MLflow tracking of training jobs",
    "ModelPackageConfig": "registering the model package from a training job",
}
_UNSUPPORTED_RESOURCES = {
    "TrainingPlanArn": "training plans",
    "InstancePreferences": "instance preferences",
    "InstancePlacementConfig": "instance placement",
}


def problems(request: Request) -> list[str]:
    """Everything wrong with the request, in SageMaker's wording where it has one; empty when it can be run."""
    return [message for check in _CHECKS for message in check(request)]


def _algorithm(request: Request) -> Iterator[str]:
    algorithm = request.get("AlgorithmSpecification")
    if algorithm is None:
        yield "AlgorithmSpecification is required."
        return
    image, name = algorithm.get("TrainingImage"), algorithm.get("AlgorithmName")
    if image and name:
        yield (
            "Only one of TrainingImage and AlgorithmName can be specified in AlgorithmSpecification: "
            f"TrainingImage is '{image}', AlgorithmName is '{name}'."
        )
    elif name:
        yield f"Cannot find algorithm: {name}. Sagebrush has no algorithm resources yet; name a TrainingImage instead."
    elif not image:
        yield "You must specify either TrainingImage or AlgorithmName in AlgorithmSpecification."
    yield from _metric_definitions(algorithm.get("MetricDefinitions", []))
    modes = [("TrainingInputMode", algorithm["TrainingInputMode"])]
    modes += [
        (f"InputMode of channel '{c['ChannelName']}'", c["InputMode"]) for c in _channels(request) if "InputMode" in c
    ]
    for where, mode in modes:
        if mode != "File":
            yield f"{where} is '{mode}', which Sagebrush does not support yet. Use 'File'."


def _metric_definitions(definitions: list[Mapping[str, str]]) -> Iterator[str]:
    for definition in definitions:
        try:
            regex.compile(definition["Regex"])
        except regex.error as error:
            name, text = definition["Name"], definition["Regex"]
            yield f"Invalid regular expression in MetricDefinition '{name}': '{text}': {error}"
    for name, count in Counter(d["Name"] for d in definitions).items():
        if count > 1:
            yield f"Metric names in MetricDefinitions must be unique: '{name}' occurs {count} times."


def _channels(request: Request) -> list[Mapping[str, Any]]:
    return list(request.get("InputDataConfig", []))


def _input(request: Request) -> Iterator[str]:
    for name, count in Counter(c["ChannelName"] for c in _channels(request)).items():
        if count > 1:
            yield f"Channel names in InputDataConfig must be unique: '{name}' occurs {count} times."
        if name in {".", ".."}:
            yield f"'{name}' cannot be the name of a channel."
    groups = {g["InstanceGroupName"] for g in request.get("ResourceConfig", {}).get("InstanceGroups", [])}
    for channel in _channels(request):
        yield from _channel(channel, groups)


def _channel(channel: Mapping[str, Any], groups: set[str]) -> Iterator[str]:
    name = channel["ChannelName"]
    sources = channel["DataSource"]
    if set(sources) != {"S3DataSource"}:
        given = ", ".join(sorted(sources)) or "none"
        yield f"The DataSource of channel '{name}' must be one S3DataSource; given: {given}."
        return
    source = sources["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        kind = source["S3DataType"]
        yield f"S3DataType '{kind}' of channel '{name}' needs input mode Pipe, which is not supported yet."
    if not locations.is_valid(source["S3Uri"]):
        yield f"S3Uri of channel '{name}' is not a valid S3 URI: {source['S3Uri']}"
    for member in ("CompressionType", "RecordWrapperType"):
        if (value := channel.get(member, "None")) != "None":
            yield f"{member} '{value}' of channel '{name}' can only be used with input mode Pipe."
    for group in set(source.get("InstanceGroupNames", [])) - groups:
        yield f"Channel '{name}' names the instance group '{group}', which ResourceConfig does not have."


def _output(request: Request) -> Iterator[str]:
    path = request["OutputDataConfig"]["S3OutputPath"]
    if not locations.is_valid(path):
        yield f"S3OutputPath is not a valid S3 URI: {path}"


def _resources(request: Request) -> Iterator[str]:
    config = request.get("ResourceConfig")
    if config is None:
        yield "ResourceConfig is required."
        return
    for member, what in _UNSUPPORTED_RESOURCES.items():
        if config.get(member):
            yield f"ResourceConfig.{member}: Sagebrush does not support {what} yet."
    groups = config.get("InstanceGroups", [])
    simple = "InstanceType" in config or "InstanceCount" in config
    if groups and simple:
        yield "InstanceGroups cannot be specified together with InstanceType or InstanceCount in ResourceConfig."
        return
    if not groups and not ("InstanceType" in config and "InstanceCount" in config):
        yield "InstanceType and InstanceCount, or InstanceGroups, must be specified in ResourceConfig."
        return
    for name, count in Counter(g["InstanceGroupName"] for g in groups).items():
        if count > 1:
            yield f"Instance group names must be unique: '{name}' occurs {count} times."
    counts = [group["InstanceCount"] for group in groups] or [config["InstanceCount"]]
    if min(counts) < 1:
        yield "InstanceCount must be at least 1."
    if sum(counts) > MOST_HOSTS:
        yield f"A training job on one machine can have at most {MOST_HOSTS} hosts; {sum(counts)} were asked for."


def _stopping(request: Request) -> Iterator[str]:
    condition = request.get("StoppingCondition", {})
    runtime = condition.get("MaxRuntimeInSeconds", times.DEFAULT_MAX_RUNTIME)
    if runtime > times.LONGEST_MAX_RUNTIME:
        yield f"MaxRuntimeInSeconds must be at most {times.LONGEST_MAX_RUNTIME} (28 days), but is {runtime}."
    wait = condition.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < runtime:
            yield (
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds "
                "when EnableManagedSpotTraining is true."
            )
    elif wait is not None:
        yield "MaxWaitTimeInSeconds can only be specified when EnableManagedSpotTraining is true."


def _checkpoints(request: Request) -> Iterator[str]:
    config = request.get("CheckpointConfig")
    if config is None:
        return
    if not locations.is_valid(config["S3Uri"]):
        yield f"S3Uri of CheckpointConfig is not a valid S3 URI: {config['S3Uri']}"
    path = config.get("LocalPath", DEFAULT_CHECKPOINT_PATH).rstrip("/")
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        encoded = b"\0"  # Half of a surrogate pair is no more a path than NUL is.
    too_long = len(encoded) > _LONGEST_LOCAL_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST_NAME
    if too_long or b"\0" in encoded:
        yield (
            f"LocalPath of CheckpointConfig must be a path of at most {_LONGEST_LOCAL_PATH} bytes, each name in it of "
            f"at most {_LONGEST_NAME}, in UTF-8 without NUL characters."
        )
    elif not path.startswith("/opt/ml/") or ".." in path.split("/"):
        yield f"LocalPath of CheckpointConfig must be a folder under /opt/ml, but is '{path}'."
    elif any(path == folder or path.startswith(f"{folder}/") for folder in _RESERVED):
        yield f"LocalPath of CheckpointConfig cannot be '{path}': that folder has another use."


def _features(request: Request) -> Iterator[str]:
    for member, what in _UNSUPPORTED.items():
        if request.get(member):
            yield f"{member}: Sagebrush does not support {what} yet."


def _texts(request: Request) -> Iterator[str]:
    algorithm = request.get("AlgorithmSpecification", {})
    texts = [("ContainerEntrypoint", text) for text in algorithm.get("ContainerEntrypoint", [])]
    texts += [("ContainerArguments", text) for text in algorithm.get("ContainerArguments", [])]
    texts += [(f"Environment variable '{name}'", text) for name, text in request.get("Environment", {}).items()]
    for where, text in texts:
        if "\0" in text:
            yield f"{where} contains a NUL character, which no process can be given."


_CHECKS = (_algorithm, _input, _output, _resources, _stopping, _checkpoints, _features, _texts)
