"""A whole platform for the journeys: started by the real command, used by real clients, stopped at the end."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from sagebrush.substrate import faultpoints
from tests.programs import container_command

ROOT = Path(__file__).parents[2]
SAGEBRUSH = Path(sys.executable).with_name("sagebrush")
CLIENTS = ROOT / "build" / "clients"
CLIENTS_V2 = CLIENTS / "v2"
ENVIRONMENTS = ROOT / "build" / "environments"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
XGBOOST_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(question: Callable[[], Any], *, seconds: float = 60.0, what: str = "") -> Any:
    """Ask until the answer is truthy; fail with the last answer."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {what or question}; last answer {answer!r}"
        time.sleep(0.05)


@dataclass
class RunningPlatform:
    """One data directory and the platform on it, driven through ``sagebrush`` as a user would."""

    data_dir: Path
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run ``sagebrush ARGUMENTS`` on this data directory."""
        kept = {k: v for k, v in os.environ.items() if k == faultpoints.LEDGER}
        environ = kept | {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SAGEBRUSH_"))}
        environ |= {"SAGEBRUSH_DATA_DIR": str(self.data_dir), "SAGEBRUSH_ENVIRONMENTS_DIR": str(ENVIRONMENTS)}
        environ |= self.settings
        result = subprocess.run(
            [str(SAGEBRUSH), *arguments], env=environ, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"sagebrush {shlex.join(arguments)}: {result.returncode}\n{result.stdout}\n{result.stderr}"
            )
        return result

    def up(self) -> None:
        self.command("up", "--port", str(self.port), "--detach")

    def down(self) -> None:
        self.command("down")

    def environ(self) -> dict[str, str]:
        """What ``eval "$(sagebrush env)"`` would leave in a shell."""
        script = self.command("env").stdout + "\nenv -0\n"
        clean = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}
        printed = subprocess.run(["bash", "-c", script], env=clean, capture_output=True, check=True).stdout.decode()
        return dict(line.split("=", 1) for line in printed.split("\0") if "=" in line)

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client as ``sagebrush env`` configures it, without touching this process's environment."""
        environ = self.environ()
        session = boto3.Session(
            aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=environ["AWS_SESSION_TOKEN"],
            region_name=environ["AWS_REGION"],
            botocore_session=botocore.session.Session(),
        )
        options: dict[str, Any] = {"retries": {"max_attempts": 1}} | config
        return session.client(service, endpoint_url=self.endpoint_url, config=Config(**options))

    def run_client(
        self, *command: str, sdk: str = "v2", timeout: float = 300, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment of one generation of the SDK under ``sagebrush exec --``."""
        program = str(CLIENTS / sdk / "bin" / command[0])
        assert Path(program).exists(), f"{program} is missing: run `make clients`"
        return self.command("exec", "--", program, *command[1:], timeout=timeout, check=check)

    def processes(self) -> dict[str, int]:
        """The pids of the platform's processes by name."""
        state = json.loads((self.data_dir / "run" / "platform.json").read_text())
        return {"supervisor": state["pid"], **{name: int(pid) for name, pid in state["processes"].items()}}


def start_platform(**settings: str) -> RunningPlatform:
    """A fresh platform in a short path (Unix socket names are limited to about 100 characters)."""
    data_dir = Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp"))
    platform = RunningPlatform(data_dir, free_port(), settings)
    platform.up()
    return platform


def discard(platform: RunningPlatform) -> None:
    """Stop everything this platform started, jobs included: those outlive ``down`` by design."""
    platform.command("down", check=False)
    for file in platform.data_dir.glob("jobs/*/*/*/state.json"):
        state = json.loads(file.read_text())
        if state["phase"] == "running" and Path(f"/proc/{state['shim_pid']}").exists():
            os.kill(state["shim_pid"], signal.SIGKILL)
    shutil.rmtree(platform.data_dir, ignore_errors=True)


def training_job_request(name: str, program: str | None = None, **changes: Any) -> dict[str, Any]:
    """A CreateTrainingJob request on the xgboost image; ``program`` runs as the container's entry point instead."""
    algorithm: dict[str, Any] = {"TrainingImage": XGBOOST_IMAGE, "TrainingInputMode": "File"}
    if program is not None:
        algorithm |= container_command(program)
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": algorithm,
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "OutputDataConfig": {"S3OutputPath": "s3://sagemaker-journeys/output"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return request | changes


def finished(sagemaker: Any, name: str, *, seconds: float = 180) -> dict[str, Any]:
    """Wait for a training job's end; its Describe output."""

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] in {"Completed", "Failed", "Stopped"} else None

    job: dict[str, Any] = eventually(ended, seconds=seconds, what=f"end of {name}")
    return job
