"""The training environment: what the platform wrote under ``/opt/ml/input/config``, and the ``SM_*`` variables from it.

The variables and their forms follow SageMaker's training toolkit (README, "Environment variables"): text as it is,
everything else as compact JSON with sorted keys.
"""

# pathlib would cost several milliseconds before the first line of user code.
# ruff: noqa: PTH118, PTH122, PTH123, PTH208

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sagebrush.runtime.directories import Directories

#: Hyperparameters for the platform's toolkit itself; they are not handed on to user code.
RESERVED = frozenset(
    {
        "sagemaker_program",
        "sagemaker_submit_directory",
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_region",
        "sagemaker_container_log_level",
        "sagemaker_job_name",
        "sagemaker_s3_output",
        "default_user_module_name",
        "_tuning_objective_metric",
    }
)
_PREFIX = "sagemaker_"
_INFO = 20


@dataclass(frozen=True)
class TrainingEnvironment:
    """One job on one host, as its configuration files describe it.

    ``raw_hyperparameters`` are the strings as they came; ``hyperparameters`` those for user code, decoded;
    ``framework_parameters`` the other ``sagemaker_*`` ones; ``reserved`` those of :data:`RESERVED`.
    """

    directories: Directories
    raw_hyperparameters: Mapping[str, str]
    hyperparameters: Mapping[str, Any]
    framework_parameters: Mapping[str, Any]
    reserved: Mapping[str, Any]
    resources: Mapping[str, Any]
    channels: Mapping[str, Mapping[str, Any]]
    checkpoint_config: Mapping[str, Any]
    environ: Mapping[str, str] = field(repr=False)

    @property
    def current_host(self) -> str:
        return str(self.resources.get("current_host", "algo-1"))

    @property
    def hosts(self) -> list[str]:
        return list(self.resources.get("hosts", [self.current_host]))

    @property
    def instance_groups(self) -> list[dict[str, Any]]:
        return list(self.resources.get("instance_groups", []))

    @property
    def current_group(self) -> str:
        return str(self.resources.get("current_group_name", "homogeneousCluster"))

    @property
    def entry_point(self) -> str | None:
        """The user's program, relative to the code directory; None without one."""
        program = self.environ.get("SAGEMAKER_PROGRAM") or self.reserved.get("sagemaker_program")
        return str(program) if program else None

    @property
    def submit_directory(self) -> str:
        """Where the user's code comes from: a directory, a tar file or an S3 URI."""
        given = self.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or self.reserved.get("sagemaker_submit_directory")
        return str(given) if given else self.directories.code

    def arguments(self) -> list[str]:
        """The command line of user code: ``--name value`` (``-n value`` for names of one letter), by name."""
        result = []
        for name in sorted(self.hyperparameters):
            result += [f"-{name}" if len(name) == 1 else f"--{name}", _argument(self.hyperparameters[name])]
        return result

    def variables(self) -> dict[str, str]:
        """The ``SM_*`` variables and their few companions."""
        values = self._values()
        region = self.environ.get("AWS_REGION") or str(self.reserved.get("sagemaker_region", ""))
        job = self.environ.get("TRAINING_JOB_NAME") or str(self.reserved.get("sagemaker_job_name", ""))
        channels = {name: self.directories.channel(name) for name in self.channels}
        values["training_env"] = _as_the_toolkit_names_it(values) | {
            "channel_input_dirs": channels,
            "is_master": self.current_host == self.hosts[0],
            "master_hostname": self.hosts[0],
            "job_name": job,
        }
        values |= {f"channel_{name}": directory for name, directory in channels.items()}
        values |= {f"hp_{name}": value for name, value in self.hyperparameters.items()}
        values["user_args"] = self.arguments()
        variables = {f"SM_{key.upper()}": _text(value) for key, value in values.items()}
        companions = {"SAGEMAKER_JOB_NAME": job, "SAGEMAKER_REGION": region, "CURRENT_HOST": self.current_host}
        return variables | companions

    def _values(self) -> dict[str, Any]:
        directories = self.directories
        groups = self.instance_groups
        by_name = {group["instance_group_name"]: group for group in groups}
        names = list(by_name)
        values: dict[str, Any] = {
            "hosts": self.hosts,
            "network_interface_name": self.resources.get("network_interface_name", "eth0"),
            "hps": self.hyperparameters,
            "user_entry_point": self.entry_point,
            "framework_params": self.framework_parameters,
            "resource_config": self.resources,
            "input_data_config": self.channels,
            "output_data_dir": directories.output_data,
            "channels": sorted(self.channels),
            "current_host": self.current_host,
            "current_instance_type": self.resources.get("current_instance_type", "local"),
            "current_instance_group": self.current_group,
            "current_instance_group_hosts": by_name.get(self.current_group, {}).get("hosts", self.hosts),
            "instance_groups": names,
            "instance_groups_dict": by_name,
            "distribution_instance_groups": self.framework_parameters.get(
                "sagemaker_distribution_instance_groups", names
            ),
            "is_hetero": len(groups) > 1,
            "module_name": os.path.splitext(self.entry_point or "")[0] or None,
            "log_level": self.reserved.get("sagemaker_container_log_level", _INFO),
            "framework_module": self.environ.get("SAGEMAKER_TRAINING_MODULE"),
            "input_dir": directories.input,
            "input_config_dir": directories.config,
            "output_dir": directories.output,
            "output_intermediate_dir": directories.output_intermediate,
            "num_cpus": _count(self.environ, "SM_NUM_CPUS", _cpus),
            "num_gpus": _count(self.environ, "SM_NUM_GPUS", _gpus),
            "num_neurons": 0,
            "model_dir": directories.model,
            "module_dir": self.submit_directory,
        }
        if self.resources.get("topology"):
            values["topology"] = self.resources["topology"]
        return values


def _as_the_toolkit_names_it(values: Mapping[str, Any]) -> dict[str, Any]:
    """For ``SM_TRAINING_ENV``: names of the training toolkit's Environment, where variables have shorter ones."""
    other = {"hps": "hyperparameters", "framework_params": "additional_framework_parameters"}
    return {other.get(name, name): value for name, value in values.items() if name != "channels"}


def load(environ: Mapping[str, str]) -> TrainingEnvironment:
    """Read the job's configuration files. Files that are missing count as empty."""
    directories = Directories.of(environ)
    raw = _read(directories, "hyperparameters.json")
    decoded = {name: decode(value) for name, value in raw.items()}
    reserved = {name: value for name, value in decoded.items() if name in RESERVED}
    framework = {n: v for n, v in decoded.items() if n.startswith(_PREFIX) and n not in RESERVED}
    return TrainingEnvironment(
        directories=directories,
        raw_hyperparameters=raw,
        hyperparameters={n: v for n, v in decoded.items() if n not in reserved and n not in framework},
        framework_parameters=framework,
        reserved=reserved,
        resources=_read(directories, "resourceconfig.json"),
        channels=_read(directories, "inputdataconfig.json"),
        checkpoint_config=_read(directories, "checkpointconfig.json"),
        environ=environ,
    )


def decode(value: Any) -> Any:
    """A hyperparameter's string as the JSON it may be, else as it is."""
    try:
        return json.loads(value)
    except (ValueError, TypeError):
        return value


def _read(directories: Directories, name: str) -> dict[str, Any]:
    try:
        with open(os.path.join(directories.config, name), encoding="utf-8") as file:
            content: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return {}
    return content


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return "" if value is None else str(value)


def _count(environ: Mapping[str, str], name: str, probe: Callable[[], int]) -> int:
    given = environ.get(name, "")
    return int(given) if given.isdigit() else probe()


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> int:
    """NVIDIA devices that this process can see."""
    try:
        return sum(name.startswith("nvidia") and name[6:].isdigit() for name in os.listdir("/dev"))
    except OSError:
        return 0
