"""/opt/ml of one host: folders and configuration files, as training containers find them.

Source: "How Amazon SageMaker AI Provides Training Information", and the training toolkit's readers of these files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sagebrush.training.engine.channels import Channel
from sagebrush.training.model.cluster import NETWORK_INTERFACE, Cluster, Host
from sagebrush.training.model.request import DEFAULT_CHECKPOINT_PATH

_FOLDERS = ("input/config", "input/data", "model", "output/data", "output/intermediate", "code")


def make_folders(opt_ml: Path) -> None:
    """The folders that every job finds."""
    for folder in _FOLDERS:
        (opt_ml / folder).mkdir(parents=True, exist_ok=True)


def write_config(
    opt_ml: Path,
    *,
    hyperparameters: Mapping[str, str],
    cluster: Cluster,
    host: Host,
    channels: Sequence[Channel],
    checkpoint_config: Mapping[str, str] | None = None,
) -> None:
    """Write hyperparameters, resourceconfig, inputdataconfig (and checkpointconfig where there is one) of one host."""
    files: dict[str, Any] = {
        "hyperparameters": dict(hyperparameters),
        "resourceconfig": resource_config(cluster, host),
        "inputdataconfig": input_data_config(channels, host),
    }
    if checkpoint_config is not None:
        files["checkpointconfig"] = {"LocalPath": DEFAULT_CHECKPOINT_PATH} | dict(checkpoint_config)
    for name, content in files.items():
        (opt_ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def resource_config(cluster: Cluster, host: Host) -> dict[str, Any]:
    """What a host is told of itself and the others."""
    return {
        "current_host": host.name,
        "current_instance_type": host.group.instance_type,
        "current_group_name": host.group.name,
        "hosts": sorted(cluster.names),
        "instance_groups": [
            {
                "instance_group_name": group.name,
                "instance_type": group.instance_type,
                "hosts": sorted(group.hosts),
            }
            for group in cluster.groups
        ],
        "network_interface_name": NETWORK_INTERFACE,
    }


def input_data_config(channels: Sequence[Channel], host: Host) -> dict[str, dict[str, str]]:
    """What a host is told of its channels."""
    told = {}
    for channel in channels:
        if channel.groups and host.group.name not in channel.groups:
            continue
        entry = {"ContentType": channel.content_type} if channel.content_type is not None else {}
        told[channel.name] = entry | {
            "TrainingInputMode": "File",
            "S3DistributionType": "ShardedByS3Key" if channel.sharded else "FullyReplicated",
            "RecordWrapperType": "None",
        }
    return told


def checkpoint_path(checkpoint_config: Mapping[str, str]) -> str:
    """The folder of a valid CheckpointConfig's LocalPath, relative to /opt/ml."""
    return checkpoint_config.get("LocalPath", DEFAULT_CHECKPOINT_PATH).removeprefix("/opt/ml").strip("/")
