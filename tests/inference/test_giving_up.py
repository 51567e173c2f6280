"""Endpoints whose steps fail, or whose environment has to be built first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sagebrush.inference.reconcilers import endpoint, rollout
from sagebrush.inference.reconcilers.ending import Ender
from sagebrush.inference.reconcilers.endpoint import EndpointReconciler
from sagebrush.substrate.compute import Environment, EnvironmentBuildFailed, EnvironmentSpec
from sagebrush.substrate.reconcile import loop
from tests.inference.requests import model_request
from tests.inference.running import Running, ThisInterpreter, eventually, start

SLOW_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/slow:1"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up after three quick failures, so that a test need not take a minute."""
    monkeypatch.setattr(loop, "GIVE_UP_SECONDS", 0.0)
    monkeypatch.setattr(loop, "FAILURES_ALLOWED", 3)
    monkeypatch.setattr(loop, "LAST_BACKOFF_SECONDS", 0.05)


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError("a defect \0")


@pytest.mark.usefixtures("impatient")
def test_an_endpoint_that_the_platform_cannot_bring_up_fails_and_says_so(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "switch", broken)
    described = running.deploy("defect")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        "The platform could not bring the endpoint out of Creating: RuntimeError: a defect "
    )
    eventually(lambda: not running.shims())
    running.deleted("defect")


@pytest.mark.usefixtures("impatient")
def test_an_update_that_the_platform_cannot_finish_leaves_what_serves(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.deploy("serves")
    assert running.front is not None
    before = running.front.replicas("serves")
    monkeypatch.setattr(rollout, "switch", broken)
    running.config("other", {"ModelName": "serves"})
    running.call("UpdateEndpoint", EndpointName="serves", EndpointConfigName="other")
    described = running.settled("serves")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "serves")
    assert "out of Updating: RuntimeError" in described["FailureReason"]
    eventually(lambda: [d.name for d in running.shims()] == before)
    assert running.front.replicas("serves") == before


@pytest.mark.usefixtures("impatient")
def test_a_defect_in_the_steps_of_what_serves_does_not_end_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.deploy("serves")
    failures: list[int] = []

    def fails(*_: object) -> None:
        failures.append(1)
        raise RuntimeError("a defect")

    monkeypatch.setattr(endpoint, "_AFTER_GIVING_UP", 0.05)
    monkeypatch.setattr(EndpointReconciler, "_carry", fails)
    eventually(lambda: len(failures) >= 4)
    assert running.describe("serves")["EndpointStatus"] == "InService"
    assert len(running.shims()) == 1


@pytest.mark.usefixtures("impatient")
def test_an_endpoint_that_cannot_be_tidied_up_is_deleted_all_the_same(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.deploy("stuck")
    monkeypatch.setattr(Ender, "_carry_rest", broken)
    running.deleted("stuck")
    assert running.shims() == []
    assert running.front is not None
    eventually(lambda: "stuck" not in running.front.look())  # type: ignore[union-attr]


class SlowEnvironments(ThisInterpreter):
    """One image is slow: its build ends when the test says so, well or badly."""

    def __init__(self) -> None:
        self.finish = threading.Event()
        self.problem = ""

    def resolve(self, image_uri: str) -> EnvironmentSpec | None:
        return EnvironmentSpec("slow", "1", "1") if image_uri == SLOW_IMAGE else super().resolve(image_uri)

    def ensure(self, spec: EnvironmentSpec, progress: Callable[[str], None]) -> Environment:
        if spec.name == "slow":
            progress("Building the environment slow: Collecting everything")
            assert self.finish.wait(60)
            if self.problem:
                raise EnvironmentBuildFailed(self.problem)
        return super().ensure(spec, progress)


@pytest.fixture
def slow() -> SlowEnvironments:
    return SlowEnvironments()


@pytest.fixture
def waiting(tmp_path: Path, slow: SlowEnvironments) -> Iterator[Running]:
    platform = start(tmp_path / "data", environments=slow)
    yield platform
    slow.finish.set()
    platform.close()


def create_slow(running: Running, name: str) -> None:
    running.call("CreateModel", **model_request(name, Image=SLOW_IMAGE))
    running.config(name)
    running.call("CreateEndpoint", EndpointName=name, EndpointConfigName=name)


def message(running: Running, name: str) -> str:
    status = running.describe(name)["ProductionVariants"][0]["VariantStatus"][0]
    return str(status.get("StatusMessage", ""))


def test_a_build_is_shown_and_waited_for(waiting: Running, slow: SlowEnvironments) -> None:
    create_slow(waiting, "slow")
    eventually(lambda: "Collecting everything" in message(waiting, "slow"))
    assert waiting.deploy("quick")["EndpointStatus"] == "InService"
    slow.finish.set()
    assert waiting.settled("slow")["EndpointStatus"] == "InService"


def test_a_build_that_fails_fails_the_endpoint_with_pips_words(waiting: Running, slow: SlowEnvironments) -> None:
    slow.problem = "The environment slow could not be built: pip found no source for a package."
    create_slow(waiting, "slow")
    eventually(lambda: "Collecting everything" in message(waiting, "slow"))
    slow.finish.set()
    described = waiting.settled("slow")
    assert (described["EndpointStatus"], described["FailureReason"]) == ("Failed", slow.problem)
