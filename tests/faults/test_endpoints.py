"""kill -9 of every process while an endpoint serves, and of the control plane at every named point of its way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.running import RunningPlatform, discard, eventually, start_platform
from tests.journeys.serving import BUCKET, Endpoints, times
from tests.journeys.test_endpoints_with_boto3 import Load

pytestmark = pytest.mark.fault


@pytest.fixture
def start() -> Iterator[Any]:
    """Starts platforms and discards them, whatever happens."""
    running: list[RunningPlatform] = []

    def begin(**settings: str) -> Endpoints:
        running.append(start_platform(**settings))
        eventually(lambda: _bucket(running[-1]), what="the bucket")
        return Endpoints(running[-1])

    yield begin
    for platform in running:
        discard(platform)


def _bucket(platform: RunningPlatform) -> bool:
    platform.client("s3").create_bucket(Bucket=BUCKET)
    return True


def inference_points() -> list[str]:
    """The points declared on the control plane's side of an endpoint."""
    import sagebrush.server.control
    from sagebrush.substrate import faultpoints

    assert sagebrush.server.control is not None
    return sorted(name for name in faultpoints.declared() if name.startswith("inference."))


@pytest.mark.parametrize("process", ["control", "front", "objects", "supervisor"])
def test_a_killed_process_of_the_platform_takes_no_endpoint_along(start: Any, process: str) -> None:
    endpoints = start()
    endpoints.deploy("survivor", times(2))
    before = replicas(endpoints)
    if process == "control":
        with Load(endpoints, "survivor", threads=2) as load:
            kill(endpoints.platform, process)
            answered = sum(load.answers.values())
            eventually(lambda: sum(load.answers.values()) > answered + 100, what="answers after the kill")
        assert load.errors == []  # A restarted control plane drops no prediction.
    else:
        kill(endpoints.platform, process)
    if process == "supervisor":
        eventually(lambda: not any(alive(pid) for pid in endpoints.platform.processes().values()), what="its children")
        endpoints.platform.up()
    eventually(lambda: asked(endpoints), what="an answer after the kill")
    assert replicas(endpoints) == before
    assert endpoints.settled("survivor")["EndpointStatus"] == "InService"
    endpoints.delete("survivor")
    eventually(lambda: not replicas(endpoints), what="the replica to be ended")


def kill(platform: RunningPlatform, process: str) -> None:
    victim = platform.processes()[process]
    os.kill(victim, signal.SIGKILL)
    if process != "supervisor":
        eventually(lambda: platform.processes()[process] != victim, what=f"another {process}")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def asked(endpoints: Endpoints) -> bool:
    try:
        return bool(endpoints.invoke("survivor", [1]) == [2])
    except Exception:
        return False


def replicas(endpoints: Endpoints) -> set[int]:
    """Pids of the shims that run replicas of this platform."""
    found = set()
    for file in endpoints.platform.data_dir.glob("endpoints/*/*/state.json"):
        state = json.loads(file.read_text())
        if state["phase"] == "running" and alive(state["shim_pid"]):
            found.add(state["shim_pid"])
    return found


def test_a_killed_shim_is_replaced_and_leaves_no_process(start: Any) -> None:
    endpoints = start()
    endpoints.deploy("survivor", times(2))
    (shim,) = replicas(endpoints)
    os.kill(shim, signal.SIGKILL)
    eventually(lambda: replicas(endpoints) - {shim}, what="another replica")
    eventually(lambda: asked(endpoints), what="an answer of it")
    assert endpoints.settled("survivor")["EndpointStatus"] == "InService"
    assert len(replicas(endpoints)) == 1


def test_endpoints_go_on_after_down_and_up(start: Any) -> None:
    endpoints = start()
    endpoints.deploy("survivor", times(2))
    assert len(replicas(endpoints)) == 1
    endpoints.platform.down()
    assert replicas(endpoints) == set()  # Nobody could reach a model server of a platform that is stopped.
    endpoints.platform.up()
    eventually(lambda: asked(endpoints), what="an answer after up")
    assert endpoints.settled("survivor")["EndpointStatus"] == "InService"


@pytest.mark.parametrize("point", inference_points())
def test_control_plane_killed_at_a_named_point_leaves_neither_orphan_nor_duplicate(start: Any, point: str) -> None:
    """Through create, update and delete, with the control plane killed once wherever the point is first reached."""
    endpoints = start(SAGEBRUSH_FAULT_POINT=point)
    endpoints.sagemaker = endpoints.platform.client("sagemaker", retries={"max_attempts": 8, "mode": "standard"})
    victim = endpoints.platform.processes()["control"]
    described = endpoints.deploy("survivor", times(1))
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    endpoints.model("second", times(2))
    endpoints.config("second", {"ModelName": "second"})
    endpoints.sagemaker.update_endpoint(EndpointName="survivor", EndpointConfigName="second")
    described = endpoints.settled("survivor")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "second")
    assert endpoints.invoke("survivor", [1]) == [2]
    eventually(lambda: len(replicas(endpoints)) == 1, what="one replica")
    endpoints.delete("survivor")
    eventually(lambda: not replicas(endpoints), what="the replica to be ended")
    assert not list(endpoints.platform.data_dir.glob("endpoints/*"))
    assert endpoints.platform.processes()["control"] != victim, f"{point} was never reached"
