"""Jobs that cannot go on: what ends them, what they are told, and that nothing of them is held for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagebrush.substrate.reconcile import loop
from sagebrush.training.engine import archive
from sagebrush.training.reconcilers import ending, sweeping, training_job
from sagebrush.training.reconcilers.finishing import Finisher
from sagebrush.training.reconcilers.following import Follower
from sagebrush.training.reconcilers.starting import Starter
from tests.training.requests import BUCKET, job_request
from tests.training.running import Running, eventually, start
from tests.training.test_jobs import STOPPABLE, members, phases, run

assert training_job

DEEP = """
import os
for folder in ("/opt/ml/model", "/opt/ml/output/data", "/opt/ml/checkpoints"):
    os.chdir(folder)
    for _ in range(2000):
        open("here", "w").close()
        os.mkdir("d")
        os.chdir("d")
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up after three quick failures, so that a test need not take a minute."""
    monkeypatch.setattr(loop, "GIVE_UP_SECONDS", 0.0)
    monkeypatch.setattr(loop, "FAILURES_ALLOWED", 3)
    monkeypatch.setattr(loop, "LAST_BACKOFF_SECONDS", 0.05)


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError("a defect \0")


def assert_nothing_held(running: Running) -> None:
    assert running.platform.store.read(running.platform.compute.capacity.used) == (0.0, 0.0)
    eventually(lambda: not list(running.platform.settings.data_dir.glob("jobs/*")))


def assert_given_up(job: dict[str, Any], step: str) -> None:
    reason = job["FailureReason"]
    assert reason.startswith(
        f"InternalServerError: The platform could not finish the step {step}: RuntimeError: a defect "
    )
    assert "The platform's log has the details under 0" in reason


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("cls", "method", "step"),
    [(Starter, "launch", "Downloading"), (Follower, "follow", "Training"), (Finisher, "finish", "Uploading")],
)
def test_a_step_that_always_fails_ends_the_job(
    running: Running, monkeypatch: pytest.MonkeyPatch, cls: type, method: str, step: str
) -> None:
    monkeypatch.setattr(cls, method, broken)
    program = "import time; time.sleep(600)" if cls is Follower else "pass"
    job = run(running, "defect", program)
    assert job["TrainingJobStatus"] == "Failed"
    assert_given_up(job, step)
    assert_nothing_held(running)


@pytest.mark.usefixtures("impatient")
def test_a_stopped_job_whose_upload_always_fails_ends_as_stopped(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Finisher, "finish", broken)
    running.call("CreateTrainingJob", **job_request("stopped", STOPPABLE))
    eventually(lambda: "ready" in running.printed("stopped"))
    running.call("StopTrainingJob", TrainingJobName="stopped")
    job = running.finished("stopped")
    assert job["TrainingJobStatus"] == "Stopped"
    assert_given_up(job, "Uploading")
    assert_nothing_held(running)


def test_a_job_that_nests_folders_deeply_ends_and_leaves_nothing_behind(running: Running) -> None:
    job = run(running, "deep", DEEP, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/ck"})
    assert job["TrainingJobStatus"] == "Completed", job
    assert len(members(running.get(job["ModelArtifacts"]["S3ModelArtifacts"]))) == archive.MOST_LEVELS + 1
    told = [line for line in running.log("deep") if line.startswith("[sagebrush] Not uploaded: ")]
    assert len(told) == 3
    assert len(running.keys("ck/")) == archive.MOST_LEVELS + 1
    assert_nothing_held(running)


def test_names_that_are_not_utf8_cost_only_themselves(running: Running) -> None:
    program = """
for folder in (b"/opt/ml/model/", b"/opt/ml/checkpoints/"):
    for name in (b"good", b"\\xff"):
        open(folder + name, "w").close()
"""
    output = {"S3OutputPath": f"s3://{BUCKET}/plain", "CompressionType": "NONE"}
    config = {"S3Uri": f"s3://{BUCKET}/ck"}
    job = run(running, "names", program, OutputDataConfig=output, CheckpointConfig=config)
    assert job["TrainingJobStatus"] == "Completed", job
    assert running.keys("ck/") == ["ck/good"]
    assert running.keys("plain/") == ["plain/names/output/model/good"]
    told = [line for line in running.log("names") if "not UTF-8" in line]
    assert len(told) == 2
    assert "\\udcff: its name is not UTF-8" in told[0]


def test_a_job_that_leaves_more_than_its_volume_holds_fails_for_it(running: Running) -> None:
    program = "open('/opt/ml/model/sparse', 'wb').truncate(6 << 30)"
    job = run(running, "full", program)
    assert job["TrainingJobStatus"] == "Failed"
    assert "VolumeSizeInGB of 5 GB: SageMaker's volume would be full" in job["FailureReason"]


def test_a_stop_ends_a_long_upload_after_the_grace(tmp_path: Path) -> None:
    running = start(tmp_path / "data", stop_grace_seconds=0.5)
    try:
        program = "open('/opt/ml/model/sparse', 'wb').truncate(4 << 40)"
        changes = {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 16_384}}
        running.call("CreateTrainingJob", **job_request("long", program, **changes))
        running.until("long", "Uploading")
        running.call("StopTrainingJob", TrainingJobName="long")
        job = running.finished("long")
        assert (job["TrainingJobStatus"], phases(job)[-3:]) == ("Stopped", ["Stopping", "Uploading", "Stopped"])
        assert "longer than the grace" in running.log("long")[-1]
        assert_nothing_held(running)
    finally:
        running.close()


def test_the_runtime_bounds_a_job_that_never_gets_beyond_its_data(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Starter, "_start_hosts", broken)
    job = run(running, "slow", "pass", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert_nothing_held(running)


def test_one_directory_that_cannot_be_swept_does_not_keep_the_others(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = running.platform.settings.data_dir / "jobs"
    for name in ("a", "b", "c"):
        (root / name).mkdir(parents=True)
    really = ending.remove_directory

    def remove(platform: Any, name: str) -> None:
        if name == "b":
            raise RecursionError
        really(platform, name)

    monkeypatch.setattr(sweeping, "remove_directory", remove)
    assert sweeping.sweep(running.platform) == 2
    assert [p.name for p in root.iterdir()] == ["b"]
