"""kill -9 at every named point on a training job's way, and of every process: nothing lost, nothing run twice."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import RunningPlatform, discard, eventually, finished, start_platform, training_job_request

pytestmark = pytest.mark.fault
BUCKET = "sagemaker-journeys"
PROGRAM = """
import pathlib, time
print("user code ran", flush=True)
time.sleep(1)
pathlib.Path("/opt/ml/model/weights").write_text("trained")
"""


@pytest.fixture
def start() -> Iterator[Any]:
    """Starts platforms and discards them, whatever happens."""
    running: list[RunningPlatform] = []

    def begin(**settings: str) -> RunningPlatform:
        running.append(start_platform(SAGEBRUSH_CAPACITY_CPUS="16", **settings))
        running[-1].client("s3").create_bucket(Bucket=BUCKET)
        return running[-1]

    yield begin
    for platform in running:
        discard(platform)


def training_points() -> list[str]:
    """The points declared on the control plane's side of a job."""
    import sagebrush.server.control
    from sagebrush.substrate import faultpoints

    assert sagebrush.server.control is not None
    return sorted(name for name in faultpoints.declared() if name.startswith(("training.", "reconcile.", "resources.")))


def ran(platform: RunningPlatform, name: str) -> int:
    """How often user code ran, as its log tells."""
    events = platform.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
    )["events"]
    return sum(event["message"] == "user code ran" for event in events)


@pytest.mark.parametrize("point", training_points())
def test_control_plane_killed_at_a_named_point_finishes_the_job_exactly_once(start: Any, point: str) -> None:
    platform = start(SAGEBRUSH_FAULT_POINT=point)
    sagemaker = platform.client("sagemaker", retries={"max_attempts": 8, "mode": "standard"})
    victim = platform.processes()["control"]
    sagemaker.create_training_job(**training_job_request("once", PROGRAM))
    eventually(lambda: platform.processes()["control"] != victim, seconds=90, what=f"{point} to be reached")
    job = finished(sagemaker, "once")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert ran(platform, "once") == 1
    listed = platform.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="output/once/")["Contents"]
    assert [o["Key"] for o in listed] == ["output/once/output/model.tar.gz"]
    statuses = [t["Status"] for t in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Training", "Uploading", "Completed"] or statuses == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]


@pytest.mark.parametrize("process", ["control", "objects", "front", "supervisor"])
def test_a_killed_process_neither_ends_nor_repeats_a_running_job(start: Any, process: str) -> None:
    platform = start()
    sagemaker = platform.client("sagemaker", retries={"max_attempts": 8, "mode": "standard"})
    program = PROGRAM.replace("sleep(1)", "sleep(4)")
    sagemaker.create_training_job(**training_job_request("survivor", program))
    eventually(
        lambda: sagemaker.describe_training_job(TrainingJobName="survivor")["SecondaryStatus"] == "Training", seconds=90
    )
    victim = platform.processes()[process]
    os.kill(victim, signal.SIGKILL)
    if process == "supervisor":
        eventually(lambda: all(not alive(pid) for pid in platform.processes().values()), what="planes to follow")
        platform.up()
    else:
        eventually(lambda: platform.processes()[process] != victim, what=f"{process} restarted")
    job = finished(platform.client("sagemaker", retries={"max_attempts": 8, "mode": "standard"}), "survivor")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert ran(platform, "survivor") == 1


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def shim_of(platform: RunningPlatform) -> int:
    """The pid of the only running shim, from its durable state."""
    (state,) = platform.data_dir.glob("jobs/*/*/*/state.json")
    return int(json.loads(state.read_text())["shim_pid"])


def test_a_killed_shim_takes_its_whole_job_down_and_the_reason_says_so(start: Any) -> None:
    platform = start()
    sagemaker = platform.client("sagemaker")
    naptime = str(10_000_000 + os.getpid())
    program = f"""
import os, subprocess, time
grandchild = subprocess.Popen(["sleep", "{naptime}"], start_new_session=True)
print("user code ran", flush=True)
time.sleep(600)
"""
    sagemaker.create_training_job(**training_job_request("orphan", program))
    eventually(lambda: ran(platform, "orphan") if logs_exist(platform, "orphan") else 0, seconds=90)
    assert running_commands(naptime)
    os.kill(shim_of(platform), signal.SIGKILL)
    job = finished(sagemaker, "orphan")
    assert job["TrainingJobStatus"] == "Failed"
    assert "supervis" in job["FailureReason"] or "shim" in job["FailureReason"]
    eventually(lambda: not running_commands(naptime), what="the grandchild to be gone")
    assert ran(platform, "orphan") == 1


def logs_exist(platform: RunningPlatform, name: str) -> bool:
    logs = platform.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/TrainingJobs")["logGroups"]
    return bool(groups)


def running_commands(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"sleep {word}" in command and "pytest" not in command:
            found.append(command)
    return found


def test_a_killed_job_process_is_told_by_its_signal(start: Any) -> None:
    platform = start()
    sagemaker = platform.client("sagemaker")
    program = "import os, signal; print('user code ran', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    sagemaker.create_training_job(**training_job_request("killed", program))
    job = finished(sagemaker, "killed")
    assert job["TrainingJobStatus"] == "Failed"
    assert "SIGKILL" in job["FailureReason"]
