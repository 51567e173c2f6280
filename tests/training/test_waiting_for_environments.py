"""Jobs whose environment has to be built first: nobody waits for it but them, and what it does is shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Environment, EnvironmentBuildFailed, EnvironmentSpec
from tests.training.requests import job_request
from tests.training.running import Running, ThisInterpreter, eventually, start
from tests.training.test_jobs import phases

SLOW_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/slow-xgboost:1.7-1"


class SlowEnvironments(ThisInterpreter):
    """One image is slow: its build ends when the test says so, well or badly."""

    def __init__(self) -> None:
        self.finish = threading.Event()
        self.builds = 0
        self.problem = ""

    def resolve(self, image_uri: str) -> EnvironmentSpec | None:
        if image_uri == SLOW_IMAGE:
            return EnvironmentSpec("slow", "1.0", "1.0")
        return super().resolve(image_uri)

    def ensure(self, spec: EnvironmentSpec, progress: Callable[[str], None]) -> Environment:
        if spec.name == "slow":
            self.builds += 1
            progress("Building the environment slow: Collecting everything")
            assert self.finish.wait(60)
            if self.problem:
                raise EnvironmentBuildFailed(self.problem)
        return super().ensure(spec, progress)


@pytest.fixture
def slow() -> SlowEnvironments:
    return SlowEnvironments()


@pytest.fixture
def running(tmp_path: Path, slow: SlowEnvironments) -> Iterator[Running]:
    """A host with room for one job at a time."""
    platform = start(tmp_path / "data", environments=slow, capacity_cpus=2.0, capacity_memory_gib=8.0)
    yield platform
    slow.finish.set()
    platform.close()


def create(running: Running, name: str) -> None:
    request = job_request(name, "print('ran')")
    request["AlgorithmSpecification"]["TrainingImage"] = SLOW_IMAGE
    running.call("CreateTrainingJob", **request)


def message(running: Running, name: str) -> str:
    return str(running.describe(name)["SecondaryStatusTransitions"][-1]["StatusMessage"])


def test_the_build_is_shown_and_others_pass_meanwhile(running: Running, slow: SlowEnvironments) -> None:
    create(running, "first")
    create(running, "second")
    for name in ("first", "second"):
        eventually(lambda name=name: "Collecting everything" in message(running, name))  # type: ignore[misc]
    running.call("CreateTrainingJob", **job_request("passes", "pass"))
    assert running.finished("passes")["TrainingJobStatus"] == "Completed"
    slow.finish.set()
    for name in ("first", "second"):
        job = running.finished(name)
        assert job["TrainingJobStatus"] == "Completed", job
        assert [p for p in phases(job) if p != "Pending"] == [
            "Starting",
            "Downloading",
            "Training",
            "Uploading",
            "Completed",
        ]
    assert slow.builds == 1


def test_a_job_can_be_stopped_while_its_environment_is_built(running: Running) -> None:
    create(running, "stopped")
    eventually(lambda: "Collecting everything" in message(running, "stopped"))
    running.call("StopTrainingJob", TrainingJobName="stopped")
    assert phases(running.finished("stopped")) == ["Starting", "Stopping", "Stopped"]


def test_a_build_that_fails_fails_the_job_with_pips_words_and_the_next_job_tries_again(
    running: Running, slow: SlowEnvironments
) -> None:
    slow.problem = "The environment slow could not be built: pip found no source for a package."
    create(running, "failed")
    eventually(lambda: "Collecting everything" in message(running, "failed"))
    slow.finish.set()
    job = running.finished("failed")
    assert job["FailureReason"] == f"InternalServerError: {slow.problem}"
    assert phases(job) == ["Starting", "Failed"]
    slow.problem = ""
    create(running, "again")
    assert running.finished("again")["TrainingJobStatus"] == "Completed"
    assert slow.builds == 2
