"""Replicas that end: replaced, and when no more."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from sagebrush.inference.model import crashes
from sagebrush.inference.reconcilers import draining, launching
from sagebrush.inference.tables import Replica
from sagebrush.substrate.errors import JobFailure, Refused
from tests.inference.control_process import counts_line, leave
from tests.inference.requests import config_request
from tests.inference.running import Running, eventually, replicas, start


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts again at once, so that a test need not wait."""
    monkeypatch.setattr(crashes, "_FIRST_PAUSE_US", 1000)
    monkeypatch.setattr(crashes, "_LONGEST_PAUSE_US", 5000)


def test_a_replica_that_is_killed_is_replaced(running: Running) -> None:
    running.deploy("replaced")
    front = running.front
    assert front is not None
    (before,) = front.replicas("replaced")
    running.platform.compute.launcher.kill(running.shims()[0])
    eventually(lambda: before not in front.replicas("replaced"))
    eventually(lambda: front.replicas("replaced"))
    assert running.describe("replaced")["EndpointStatus"] == "InService"
    eventually(lambda: len(replicas(running)) == 1)
    assert [d.name for d in running.shims()] == front.replicas("replaced")


def test_a_killed_shim_is_a_replica_lost_and_replaced(running: Running) -> None:
    running.deploy("lost")
    front = running.front
    assert front is not None
    (before,) = front.replicas("lost")
    directory = running.shims()[0]
    found = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and is_shim(p, directory)]
    assert found
    os.kill(found[0], signal.SIGKILL)
    eventually(lambda: front.replicas("lost") not in ([], [before]))
    assert len(running.shims()) == 1


def is_shim(process: Path, directory: Path) -> bool:
    try:
        return str(directory).encode() in (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


@pytest.mark.usefixtures("hasty")
def test_a_crash_loop_ends_the_endpoint_and_says_why(running: Running) -> None:
    running.create("loop", TOLD="crash", SAGEMAKER_MODEL_SERVER_WORKERS="1")
    eventually(lambda: running.describe("loop")["EndpointStatus"] == "Failed", lambda: running.tell("loop"))
    reason = running.describe("loop")["FailureReason"]
    assert reason.startswith("The primary container for production variant AllTraffic ended 5 times in a row")
    assert "ValueError: a poisoned model, exit code: 3" in reason
    assert running.front is not None
    eventually(lambda: running.front.look()["loop"]["status"] == "Failed")  # type: ignore[union-attr]
    eventually(lambda: not running.shims())
    assert sum("serving with" in line for line in running.log("loop")) >= 5
    eventually(lambda: not replicas(running))
    running.deleted("loop")


def ask(running: Running, name: str) -> None:
    """Let the front door have counted a request, as it does for one that ends the model server."""
    assert running.front is not None
    spool = running.platform.settings.data_dir / running.front.look()[name]["spool"]
    line = counts_line(at_us=running.platform.clock.now_us(), model_errors=1, **{"5xx": 1})
    leave(spool / "counters-0000000000000001.jsonl", json.dumps(line) + "\n")


def end_replica(running: Running, name: str) -> None:
    """Kill the replica that serves, as soon as there is one, and wait until it serves no more."""
    front = running.front
    assert front is not None
    eventually(lambda: front.replicas(name), lambda: running.tell(name))
    (before,) = front.replicas(name)
    running.platform.compute.launcher.kill(next(d for d in running.shims() if d.name == before))
    eventually(lambda: before not in front.replicas(name))


@pytest.mark.usefixtures("hasty")
def test_requests_alone_never_end_an_endpoint(running: Running) -> None:
    running.deploy("mortal")
    ask(running, "mortal")
    for _ in range(crashes.CRASHES + 2):
        end_replica(running, "mortal")
    front = running.front
    assert front is not None
    eventually(lambda: front.replicas("mortal"))
    assert running.describe("mortal")["EndpointStatus"] == "InService"
    (replica,) = (r for r in replicas(running) if r.id in front.replicas("mortal"))
    assert (replica.ends, replica.failures) == (crashes.CRASHES + 2, 0)
    told = [line for line in running.log("mortal") if "another one is started in" in line]
    assert len(told) == crashes.CRASHES + 2
    assert told[0].endswith("killed by SIGKILL, exit code: 137")


@pytest.mark.usefixtures("hasty")
def test_replicas_that_do_not_become_ready_any_more_end_the_endpoint_whatever_is_asked(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.deploy("spoilt")
    ask(running, "spoilt")
    tries: list[Any] = []

    def refuses(*arguments: Any) -> None:
        tries.append(arguments)
        raise Refused(JobFailure("ClientError", "there is no room"))

    monkeypatch.setattr(launching, "launch", refuses)
    end_replica(running, "spoilt")
    eventually(lambda: running.describe("spoilt")["EndpointStatus"] == "Failed", lambda: running.tell("spoilt"))
    assert len(tries) == crashes.CRASHES
    reason = running.describe("spoilt")["FailureReason"]
    assert "did not pass the ping health check" in reason
    assert "there is no room" in reason


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ({}, "within 1 seconds (ContainerStartupHealthCheckTimeoutInSeconds)"),
        ({"ModelDataDownloadTimeoutInSeconds": 2}, "within 3 seconds (ModelDataDownloadTimeoutInSeconds and"),
    ],
)
def test_a_container_that_never_answers_fails_when_its_time_is_over(
    running: Running, variant: dict[str, int], told: str
) -> None:
    times = {"ModelName": "deaf", "ContainerStartupHealthCheckTimeoutInSeconds": 1} | variant
    described = running.deploy("deaf", times, TOLD="deaf")
    assert described["EndpointStatus"] == "Failed"
    assert f"did not answer /ping {told}" in described["FailureReason"]
    eventually(lambda: not running.shims())


def test_data_that_are_not_in_place_in_time_fail_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_late", lambda clock, seconds: lambda: seconds == 60)
    running = start(tmp_path / "data", isolation="process")
    try:
        described = running.deploy("large", {"ModelName": "large", "ModelDataDownloadTimeoutInSeconds": 60})
        assert described["EndpointStatus"] == "Failed"
        assert "not in place within 60 seconds (ModelDataDownloadTimeoutInSeconds)" in described["FailureReason"]
        assert running.deploy("without-a-limit")["EndpointStatus"] == "InService"
    finally:
        running.close()


def test_what_is_in_flight_is_waited_for_as_long_as_it_may_take() -> None:
    def seconds(own: float, setting: float) -> float:
        return draining.patience_us(Replica("r", "e", 1, "v", 1, "draining", 1, own, 0, 0, 0), setting) / 1e6

    assert seconds(own=60, setting=60) == 65
    assert seconds(own=60, setting=300) == 305
    assert seconds(own=300, setting=60) == 305
    assert seconds(own=1e9, setting=60) == 3605
    assert seconds(own=60, setting=7200) == 7205


def test_what_takes_longer_than_it_may_does_not_hold_up_a_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "_SLACK_SECONDS", 0.0)
    running = start(tmp_path / "data", invocation_timeout_seconds=0.5, invocation_stream_seconds=0.5)
    try:
        running.deploy("hung")
        front = running.front
        assert front is not None
        front.outstanding = {front.replicas("hung")[0]: 1}
        running.deleted("hung")
        assert running.shims() == []
    finally:
        running.close()


def test_an_endpoint_that_lost_its_data_before_it_came_up_says_so(running: Running) -> None:
    running.model("m")
    running.call("CreateEndpointConfig", **config_request("c", {"ModelName": "m"}))
    running.platform.objects.delete("inference-tests", "models/m/model.tar.gz")
    running.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    described = running.settled("e")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        'Failed to download model data for container "container_1" from URL "s3://inference-tests/models/m/model.tar.gz"'
    )


def test_credentials_are_those_of_the_role_while_the_replica_is_there(running: Running) -> None:
    from sagebrush.inference.operations import is_live
    from sagebrush.substrate.identity import job_credentials
    from tests.inference.test_endpoints import environment

    running.deploy("client")
    token = environment(running)["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    claims = job_credentials.check(running.platform.identity, token)
    assert (claims.kind, claims.role_arn) == ("endpoint", "arn:aws:iam::123456789012:role/SageMakerRole")
    assert is_live(running.platform, claims)
    running.deleted("client")
    assert not is_live(running.platform, claims)
