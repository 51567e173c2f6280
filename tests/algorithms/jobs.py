"""Running an algorithm as the platform would: an ``/opt/ml`` tree, the runtime as entry point, an own process."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.algorithms.environment import AlgorithmEnvironment


@dataclass
class Job:
    """One job on one host; ``base`` stands for ``/opt/ml``."""

    environment: AlgorithmEnvironment
    base: Path
    hyperparameters: Mapping[str, str]
    content_types: Mapping[str, str | None] = field(default_factory=lambda: {"train": "text/csv"})
    host: str = "algo-1"
    hosts: tuple[str, ...] = ("algo-1",)
    channel_config: Mapping[str, str] = field(default_factory=dict)
    output: str = ""

    def __post_init__(self) -> None:
        for directory in ("input/config", "output", "model"):
            (self.base / directory).mkdir(parents=True, exist_ok=True)
        for channel in self.content_types:
            (self.base / "input/data" / channel).mkdir(parents=True, exist_ok=True)

    def add(self, channel: str, name: str, content: str | bytes | Path) -> None:
        """Put a file into a channel."""
        data = content.read_bytes() if isinstance(content, Path) else content
        path = self.base / "input/data" / channel / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    def start(self) -> subprocess.Popen[str]:
        config = self.base / "input/config"
        channels = {
            name: ({} if kind is None else {"ContentType": kind}) | dict(self.channel_config)
            for name, kind in self.content_types.items()
        }
        resources = {"current_host": self.host, "hosts": list(self.hosts)}
        (config / "hyperparameters.json").write_text(json.dumps(dict(self.hyperparameters)))
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        (config / "resourceconfig.json").write_text(json.dumps(resources))
        return subprocess.Popen(
            [str(self.environment.python), "-m", "sagebrush.runtime.training", "xgboost"],
            env=self.environment.environ() | {"SAGEMAKER_BASE_DIR": str(self.base)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self) -> int:
        """Run to the end; the exit code. What it printed is in ``output``."""
        process = self.start()
        self.output = process.communicate(timeout=150)[0]
        return process.returncode

    @property
    def model(self) -> Path:
        return self.base / "model/xgboost-model"

    @property
    def failure(self) -> str:
        return (self.base / "output/failure").read_text()

    def metric(self, name: str) -> list[float]:
        """The values of ``validation-auc`` and the like, as the documented expression finds them in the log."""
        log = self.output.replace("\t", "#011")
        return [float(value) for value in re.findall(rf"^.*\[[0-9]+\].*#011{name}:(\S+?)(?:#011|$)", log, re.MULTILINE)]

    def rounds(self) -> list[int]:
        """The numbers of the rounds that were logged."""
        return [int(number) for number in re.findall(r"^\[(\d+)\]\t", self.output, re.MULTILINE)]


def hyperparameters(**values: Any) -> dict[str, str]:
    """Hyperparameters as they travel: strings."""
    return {name.replace("lambda_", "lambda"): str(value) for name, value in values.items()}
