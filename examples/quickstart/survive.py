"""Kill what serves a model, and the platform's control plane, and count the predictions that fail: none should.

    sagebrush exec -- python examples/quickstart/survive.py ~/.sagebrush

The argument is the platform's data directory: killing needs to know who is who. Deploys the model that the quickstart
trained last. `make demo` runs it after train.py.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from sagemaker import image_uris

NAME = "quickstart-survives"
ROW = ",".join(["1"] * 30)
SETTLED_SECONDS = 120


@dataclass
class Asker:
    """Asks the endpoint, one request after the other, without retries, and keeps count."""

    runtime: Any
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    longest: float = 0.0

    def ask(self, times: int) -> None:
        for _ in range(times):
            started = time.perf_counter()
            try:
                self.runtime.invoke_endpoint(EndpointName=NAME, ContentType="text/csv", Body=ROW)["Body"].read()
                self.answered += 1
            except Exception as error:
                self.failed.append(str(error))
            self.longest = max(self.longest, time.perf_counter() - started)


def deploy(sagemaker: Any) -> None:
    """The newest model of the quickstart, behind an endpoint."""
    jobs = sagemaker.list_training_jobs(
        NameContains="quickstart-", StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending"
    )["TrainingJobSummaries"]
    if not jobs:
        raise SystemExit("There is no trained model yet: run train.py first.")
    job = sagemaker.describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
    container = {
        "Image": image_uris.retrieve("xgboost", sagemaker.meta.region_name, version="1.7-1"),
        "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
    }
    sagemaker.create_model(ModelName=NAME, PrimaryContainer=container, ExecutionRoleArn=job["RoleArn"])
    variant = {"VariantName": "AllTraffic", "ModelName": NAME, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    until = time.monotonic() + SETTLED_SECONDS
    while (endpoint := sagemaker.describe_endpoint(EndpointName=NAME))["EndpointStatus"] == "Creating":
        if time.monotonic() > until:
            raise SystemExit(f"The endpoint is still being created after {SETTLED_SECONDS} s.")
        time.sleep(0.1)
    if endpoint["EndpointStatus"] != "InService":
        raise SystemExit(f"The endpoint is {endpoint['EndpointStatus']}: {endpoint.get('FailureReason')}")


def remove(sagemaker: Any) -> None:
    """Everything that deploy() makes, as far as it is there."""
    for delete, name in (
        (sagemaker.delete_endpoint, {"EndpointName": NAME}),
        (sagemaker.delete_endpoint_config, {"EndpointConfigName": NAME}),
        (sagemaker.delete_model, {"ModelName": NAME}),
    ):
        try:
            delete(**name)
        except sagemaker.exceptions.ClientError as error:
            if "Could not find" not in str(error):
                raise
    while sagemaker.list_endpoints(NameContains=NAME)["Endpoints"]:
        time.sleep(0.1)


def workers(data_dir: Path) -> list[int]:
    """The processes that hold a model: the grandchildren of what keeps a replica."""
    found = []
    for file in data_dir.glob("endpoints/*/*/state.json"):
        state = json.loads(file.read_text())
        for server in children(state["keeper_pid"]):
            found += children(server)
    return found


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def control_plane(data_dir: Path) -> int:
    return int(json.loads((data_dir / "run" / "platform.json").read_text())["processes"]["control"])


def main(data_dir: Path) -> int:
    sagemaker = boto3.client("sagemaker")
    options = boto3.session.Config(retries={"max_attempts": 0})
    asker = Asker(boto3.client("sagemaker-runtime", config=options))
    remove(sagemaker)
    try:
        deploy(sagemaker)
        asker.ask(50)
        killed = 0
        for _ in range(3):
            for worker in workers(data_dir):
                os.kill(worker, signal.SIGKILL)
                killed += 1
                asker.ask(25)
        before = control_plane(data_dir)
        os.kill(before, signal.SIGKILL)
        restarting = 0
        while control_plane(data_dir) == before or restarting < 200:
            asker.ask(1)
            restarting += 1
        asker.ask(100)
    finally:
        remove(sagemaker)
    print("\nKilled while it served (kill -9):")
    print(f"  {killed:>5}  worker processes that held the model")
    print("      1  control plane of the platform")
    print(
        f"  {asker.answered:>5}  predictions answered, {len(asker.failed)} failed; the slowest took "
        f"{asker.longest * 1000:.0f} ms"
    )
    for error in sorted(set(asker.failed)):
        print(f"         {error}", file=sys.stderr)
    return 1 if asker.failed or not killed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).expanduser()))
