"""Starting the object plane as a process and making clients for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).parents[3]


@dataclass
class RunningPlane:
    """A running object plane."""

    process: subprocess.Popen[str]
    port: int
    credentials: dict[str, dict[str, str]]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, who: str = "operator", **config: Any) -> Any:
        """A boto3 client with the credentials of one of the callers, without retries of its own."""
        chosen = Config(retries={"total_max_attempts": 1}, **config)
        return boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", config=chosen, **self.credentials[who]
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as the supervisor does, and see that it went in order."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        assert code in (0, -signal.SIGTERM), self.log.read_text()


def start_plane(root: Path, environ: Mapping[str, str] | None = None, **options: Any) -> RunningPlane:
    """Start a plane on a data directory; returns when it accepts connections."""
    root.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    log = root / "plane.log"
    with log.open("a") as stream:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.aws.s3.plane_process",
                json.dumps({"root": str(root), "port": port, **options}),
            ],
            cwd=ROOT,
            env=os.environ | dict(environ or {}),
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.stdout.close()
    assert line, log.read_text()
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the plane never listened"
    return RunningPlane(process, port, json.loads(line), log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
