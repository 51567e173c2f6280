"""Replicas that end: replaced, and when no more."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sagebrush.inference import tables
from sagebrush.inference.model import crashes
from sagebrush.inference.tables import Replica
from tests.inference.requests import config_request
from tests.inference.running import Running, eventually


def replicas(running: Running) -> list[Replica]:
    (endpoint,) = running.call("ListEndpoints")["Endpoints"]
    assert endpoint
    directory = next(running.platform.settings.data_dir.glob("endpoints/*"))
    return list(running.platform.store.read(lambda conn: tables.replicas_of(conn, directory.name)))


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


def test_a_container_that_never_answers_fails_when_its_time_is_over(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sagebrush.inference.model.revisions.DEFAULT_STARTUP_SECONDS", 1)
    described = running.deploy("deaf", TOLD="deaf")
    assert described["EndpointStatus"] == "Failed"
    assert "did not answer /ping within 1 seconds" in described["FailureReason"]
    eventually(lambda: not running.shims())


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
