"""Capacity: jobs run in the order of their creation, as many as the host holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.errors import CallerError
from tests.training.requests import job_request
from tests.training.running import Running, eventually, start
from tests.training.test_jobs import STOPPABLE, phases

NAP = "import time; time.sleep(0.3)"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Running]:
    """A host with room for one ml.m5.large."""
    running = start(tmp_path / "data", capacity_cpus=2.0, capacity_memory_gib=8.0)
    yield running
    running.close()


def test_jobs_run_one_after_the_other_in_the_order_of_creation(small: Running) -> None:
    names = ["c", "a", "b"]
    for name in names:
        small.call("CreateTrainingJob", **job_request(name, NAP))
    jobs = [small.finished(name) for name in names]
    assert all(job["TrainingJobStatus"] == "Completed" for job in jobs)
    for earlier, later in itertools.pairwise(jobs):
        assert later["TrainingStartTime"] >= earlier["TrainingEndTime"]


def test_a_waiting_job_tells_its_place_and_what_is_free(small: Running) -> None:
    small.call("CreateTrainingJob", **job_request("runs", STOPPABLE))
    small.until("runs", "Training")
    small.call("CreateTrainingJob", **job_request("waits", NAP))
    small.until("waits", "Pending")
    message = small.describe("waits")["SecondaryStatusTransitions"][-1]["StatusMessage"]
    assert message == (
        "Waiting for compute capacity. Next in the queue; needs 2 vCPU and 8 GiB, 0 vCPU and 0.0 GiB of 2 and 8.0 GiB "
        "are free."
    )
    small.call("StopTrainingJob", TrainingJobName="runs")
    job = small.finished("waits")
    assert phases(job) == ["Starting", "Pending", "Downloading", "Training", "Uploading", "Completed"]


def test_a_job_stopped_in_the_queue_never_runs_and_lets_the_next_one_in(small: Running) -> None:
    small.call("CreateTrainingJob", **job_request("runs", STOPPABLE))
    small.until("runs", "Training")
    small.call("CreateTrainingJob", **job_request("stopped", "print('ran')"))
    small.until("stopped", "Pending")
    small.call("CreateTrainingJob", **job_request("next", "print('ran')"))
    small.call("StopTrainingJob", TrainingJobName="stopped")
    job = small.finished("stopped")
    assert phases(job) == ["Starting", "Pending", "Stopping", "Stopped"]
    assert "TrainingStartTime" not in job
    assert "BillableTimeInSeconds" not in job
    small.call("StopTrainingJob", TrainingJobName="runs")
    assert small.finished("next")["TrainingJobStatus"] == "Completed"
    assert small.log("stopped") == []


def test_a_job_that_may_wait_only_so_long_is_stopped_in_the_queue(small: Running) -> None:
    small.call("CreateTrainingJob", **job_request("runs", STOPPABLE))
    small.until("runs", "Training")
    condition = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    small.call(
        "CreateTrainingJob", **job_request("spot", NAP, EnableManagedSpotTraining=True, StoppingCondition=condition)
    )
    job = small.finished("spot")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    small.call("StopTrainingJob", TrainingJobName="runs")
    small.finished("runs")


def test_strict_instances_are_refused_at_creation(tmp_path: Path) -> None:
    running = start(tmp_path / "data", capacity_cpus=2.0, capacity_memory_gib=8.0, instances="strict")
    try:
        config = {"InstanceType": "ml.m5.24xlarge", "InstanceCount": 1}
        with pytest.raises(CallerError) as caught:
            running.call("CreateTrainingJob", **job_request("big", NAP, ResourceConfig=config))
        assert caught.value.code == "ResourceLimitExceeded"
        assert "ml.m5.24xlarge has 96 vCPU" in caught.value.message
    finally:
        running.close()


def test_many_jobs_at_once_all_end_and_leave_nothing(small: Running) -> None:
    names = [f"job-{number}" for number in range(8)]
    for name in names:
        small.call("CreateTrainingJob", **job_request(name, "print('ran')"))
    for name in names:
        assert small.finished(name)["TrainingJobStatus"] == "Completed"
        assert small.printed(name) == ["ran"]
    eventually(lambda: not list(small.platform.settings.data_dir.glob("jobs/*")))
