"""kill -9 of the control plane at every point of a job's way, of shims, and control planes that come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sagebrush.training
from sagebrush.substrate import faultpoints
from tests.training.control_process import NAME
from tests.training.requests import BUCKET, job_request
from tests.training.running import Running, eventually, start
from tests.training.test_jobs import STOPPABLE, phases

ROOT = Path(__file__).parents[2]
assert sagebrush.training
POINTS = sorted(p for p in faultpoints.declared() if p.startswith(("training.", "resources.", "reconcile.")))


def control_plane(data_dir: Path, point: str = "") -> int:
    """Run a control plane until the job has ended, or the point has killed it; its exit code."""
    environ = {k: v for k, v in os.environ.items() if k != faultpoints.VARIABLE}
    if point:
        environ[faultpoints.VARIABLE] = point
    command = [sys.executable, "-m", "tests.training.control_process", str(data_dir)]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False, timeout=90).returncode


def assert_ran_once(data_dir: Path) -> None:
    running = start(data_dir)
    try:
        job = running.describe(NAME)
        assert job["TrainingJobStatus"] == "Completed", job
        assert phases(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
        assert running.printed(NAME) == ["user code ran loss=0.5", "user code ended loss=0.25"]
        assert sum(line.startswith("[sagebrush] Environment") for line in running.log(NAME)) == 1
        assert running.keys("output/") == [f"output/{NAME}/output/model.tar.gz"]
        assert [m["Value"] for m in job["FinalMetricDataList"]] == [0.25]
        assert points_of(running) == 2
        assert running.platform.store.read(running.platform.compute.capacity.used) == (0.0, 0.0)
        # What a kill between the last record and the tidying left is swept by the next process that works.
        running.call("CreateTrainingJob", **job_request("after", "pass"))
        running.finished("after")
        eventually(lambda: not list(data_dir.glob("jobs/*")))
    finally:
        running.close()


def points_of(running: Running) -> float:
    metrics = running.platform.telemetry.metrics

    def look(conn: Any) -> float:
        found = metrics.statistics(
            conn,
            "/aws/sagemaker/TrainingJobs",
            "loss",
            {"TrainingJobName": NAME},
            start_us=0,
            end_us=1 << 62,
            period_seconds=86_400,
        )
        return sum(aggregate.samples for aggregate in found)

    return running.platform.store.read(look)


@pytest.mark.fault
@pytest.mark.parametrize("point", POINTS)
def test_a_control_plane_killed_at_a_named_point_runs_the_job_once(tmp_path: Path, point: str) -> None:
    assert control_plane(tmp_path / "data", point) == -signal.SIGKILL, f"{point} was not reached"
    assert control_plane(tmp_path / "data") == 0
    assert_ran_once(tmp_path / "data")


@pytest.mark.fault
def test_kills_at_every_point_one_after_the_other_run_the_job_once(tmp_path: Path) -> None:
    for point in POINTS:
        control_plane(tmp_path / "data", point)
    assert control_plane(tmp_path / "data") == 0
    assert_ran_once(tmp_path / "data")


def test_a_running_job_survives_its_control_plane_and_is_adopted(tmp_path: Path) -> None:
    first = start(tmp_path / "data")
    program = """
import pathlib, time
print("one")
while not pathlib.Path("/opt/ml/model/go").exists(): time.sleep(0.02)
print("two")
"""
    first.call("CreateTrainingJob", **job_request("adopted", program))
    eventually(lambda: first.printed("adopted") == ["one"])
    first.loop.stop()
    (host,) = (tmp_path / "data").glob("jobs/*/1/algo-1")
    (host / "opt/ml/model/go").touch()
    eventually(lambda: json.loads((host / "state.json").read_text())["phase"] == "exited")
    first.platform.compute.close()
    second = start(tmp_path / "data")
    try:
        assert second.finished("adopted")["TrainingJobStatus"] == "Completed"
        assert second.printed("adopted") == ["one", "two"]
    finally:
        second.close()
        first.platform.objects.close()
        first.platform.objects._index.close()
        first.platform.store.close()


def kill_shim(running: Running) -> None:
    (state,) = running.platform.settings.data_dir.glob("jobs/*/*/algo-1/state.json")
    os.kill(json.loads(state.read_text())["shim_pid"], signal.SIGKILL)


def test_a_killed_shim_fails_the_job_and_the_reason_says_so(running: Running) -> None:
    running.call("CreateTrainingJob", **job_request("orphan", STOPPABLE))
    eventually(lambda: "ready" in running.printed("orphan"))
    kill_shim(running)
    job = running.finished("orphan")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError: The supervisor (shim) of the job's processes died")
    assert running.printed("orphan") == ["ready"]


def test_a_shim_of_which_nothing_is_left_is_a_lost_one(running: Running) -> None:
    running.call("CreateTrainingJob", **job_request("gone", STOPPABLE))
    eventually(lambda: "ready" in running.printed("gone"))
    (state,) = running.platform.settings.data_dir.glob("jobs/*/*/algo-1/state.json")
    recorded = json.loads(state.read_text())
    state.unlink()
    os.kill(recorded["shim_pid"], signal.SIGKILL)
    job = running.finished("gone")
    assert job["FailureReason"].startswith("InternalServerError: The supervisor (shim)")


def test_a_job_that_may_retry_begins_again_with_its_checkpoints(running: Running) -> None:
    program = """
import pathlib, time
folder = pathlib.Path("/opt/ml/checkpoints")
seen = sorted(p.name for p in folder.iterdir())
print(f"begun with {seen}")
if not seen:
    (folder / "step").write_text("x")
    time.sleep(600)
pathlib.Path("/opt/ml/model/weights").write_text("trained")
"""
    request = job_request(
        "retried",
        program,
        RetryStrategy={"MaximumRetryAttempts": 1},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/ck"},
    )
    running.call("CreateTrainingJob", **request)
    eventually(lambda: running.keys("ck/") == ["ck/step"])
    kill_shim(running)
    job = running.finished("retried")
    assert job["TrainingJobStatus"] == "Completed", job
    assert running.printed("retried") == ["begun with []", "begun with ['step']"]
    assert phases(job) == [
        "Starting",
        "Downloading",
        "Training",
        "Restarting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
