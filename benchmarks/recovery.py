"""The control plane is killed (-9) while 100 jobs run: how long until its successor looks after every one of them.

From the kill to the moment when all 100 leases are the new process's, read from the database beside it; the start of a
bare control plane without jobs is printed for scale. Then all jobs end, and each must have run exactly once.
Claim: 2 seconds, none lost, none doubled. Run: ``python -m benchmarks.recovery [--jobs 100] [--rounds 3]``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.journeys.running import RunningPlatform, discard, eventually, finished, start_platform, training_job_request

_GOAL_SECONDS = 2.0
_SUBMITTERS = 8
_LINE = "user code ran"
#: Long enough for a hundred of them to run at once before the first ends.
_PROGRAM = f"import time; print({_LINE!r}, flush=True); time.sleep(45)"


def main() -> None:
    """Fill, kill, wait, count; each round on a platform of its own, for a process that crashes often is paced."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    empty = [_round(0) for _ in range(options.rounds)]
    full = [_round(options.jobs) for _ in range(options.rounds)]
    print(f"every job of {options.rounds} rounds ended well and ran once")
    print(f"kill -9 -> the new control plane answers, no jobs             {_told(empty)}")
    print(
        f"kill -9 -> it looks after all {options.jobs} running jobs again   {_told(full)}   goal <= {_GOAL_SECONDS} s"
    )
    if statistics.median(full) > _GOAL_SECONDS:
        raise SystemExit("recovery takes longer than it may")


def _round(jobs: int) -> float:
    platform = start_platform(SAGEBRUSH_CAPACITY_CPUS=str(2 * jobs + 2), SAGEBRUSH_CAPACITY_MEMORY_GIB="4096")
    try:
        platform.client("s3").create_bucket(Bucket="sagemaker-journeys")
        names = _start_jobs(platform, jobs) if jobs else []
        seconds = _restart(platform, jobs)
        _check(platform, names)
        return seconds
    finally:
        discard(platform)


def _start_jobs(platform: RunningPlatform, count: int) -> list[str]:
    sagemaker = platform.client("sagemaker", max_pool_connections=_SUBMITTERS)
    names = [f"recovered-{number}" for number in range(count)]
    with ThreadPoolExecutor(_SUBMITTERS) as pool:
        list(pool.map(lambda name: sagemaker.create_training_job(**training_job_request(name, _PROGRAM)), names))

    def training() -> int:
        described = sagemaker.list_training_jobs(MaxResults=100, StatusEquals="InProgress")["TrainingJobSummaries"]
        states = [job.get("SecondaryStatus") for job in described]
        return len(states) >= count and all(state == "Training" for state in states)

    eventually(training, seconds=120, what="all jobs to run")
    return names


def _leases(platform: RunningPlatform) -> dict[str, int]:
    """How many running jobs each process's leases hold."""
    database = sqlite3.connect(f"file:{platform.data_dir}/state.db?mode=ro", uri=True)
    try:
        rows = database.execute(
            "SELECT lease_owner, count(*) FROM resources WHERE lease_owner IS NOT NULL AND kind = 'training-job' "
            "AND status = 'InProgress' GROUP BY lease_owner"
        )
        return {owner.split("/")[2]: number for owner, number in rows}
    finally:
        database.close()


def _restart(platform: RunningPlatform, jobs: int) -> float:
    """Seconds from the kill until a successor answers and holds the leases of ``jobs``."""
    former = platform.processes()["control"]
    caller = platform.client("sts", connect_timeout=1, read_timeout=5)
    os.kill(former, signal.SIGKILL)
    killed = time.monotonic()
    successor = eventually(lambda: (pid := platform.processes()["control"]) != former and pid, what="a successor")
    caller.get_caller_identity()
    eventually(lambda: _leases(platform).get(str(successor), 0) >= jobs, what="the leases")
    return time.monotonic() - killed


def _check(platform: RunningPlatform, names: list[str]) -> None:
    """Every job completes, and its code ran once. Raises AssertionError."""
    sagemaker, logs = platform.client("sagemaker"), platform.client("logs")
    for name in names:
        job: dict[str, Any] = finished(sagemaker, name, seconds=300)
        assert job["TrainingJobStatus"] == "Completed", (name, job.get("FailureReason"))
        found = logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/")
        assert [event["message"] for event in found["events"]].count(_LINE) == 1, name


def _told(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):5.2f} s   ({min(seconds):.2f} .. {max(seconds):.2f})"


if __name__ == "__main__":
    main()
