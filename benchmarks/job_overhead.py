"""Platform overhead of a job: CreateTrainingJob accepted → first line of user code, minus a bare ``python`` start.

Both sides run the same interpreter with the same imports, interleaved. The job's first line is stamped by the user
program itself (``time.time_ns()`` printed), acceptance is the moment the client has the answer. CPU is what the
platform's processes spent between the two, from /proc. Run: ``python -m benchmarks.job_overhead [--jobs 20]``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.journeys.running import RunningPlatform, discard, finished, start_platform, training_job_request

PROGRAM = "import time; t = time.time_ns(); print('first-line', t)"


def main() -> None:
    """Run the jobs and print medians, spread and the overhead."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=20)
    count = parser.parse_args().jobs
    platform = start_platform(SAGEBRUSH_CAPACITY_CPUS="16")
    try:
        measure(platform, count)
    finally:
        discard(platform)


def measure(platform: RunningPlatform, count: int) -> None:
    """Interleave jobs and bare starts; the first job (which may build the environment) is not counted."""
    platform.client("s3").create_bucket(Bucket="sagemaker-journeys")
    sagemaker, logs = platform.client("sagemaker"), platform.client("logs")
    one_job(sagemaker, logs, "warm-up")
    python = environment_python()
    jobs, bare, cpu = [], [], []
    for index in range(count):
        before = cpu_seconds(platform)
        jobs.append(one_job(sagemaker, logs, f"overhead-{index}"))
        cpu.append(cpu_seconds(platform) - before)
        bare.append(bare_start(python))
    overhead = statistics.median(jobs) - statistics.median(bare)
    print(f"accepted -> first line   p50 {statistics.median(jobs):7.1f} ms   {spread(jobs)}")
    print(f"bare python start        p50 {statistics.median(bare):7.1f} ms   {spread(bare)}")
    print(f"platform overhead        p50 {overhead:7.1f} ms   (goal <= 150)")
    print(f"platform CPU per job     p50 {statistics.median(cpu) * 1000:7.1f} ms   whole job, polling client included")


def one_job(sagemaker: Any, logs: Any, name: str) -> float:
    """Milliseconds from acceptance to the user program's own stamp."""
    sagemaker.create_training_job(**training_job_request(name, PROGRAM))
    accepted = time.time_ns()
    job = finished(sagemaker, name, seconds=600)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    events = logs.filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/", filterPattern='"first-line"'
    )["events"]
    return (int(events[0]["message"].split()[1]) - accepted) / 1e6


def bare_start(python: str) -> float:
    """Milliseconds from spawn to the first line of the same program without a platform."""
    started = time.time_ns()
    output = subprocess.run([python, "-u", "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    return (int(output.split()[1]) - started) / 1e6


def environment_python() -> str:
    """The interpreter of the built xgboost environment."""
    from tests.journeys.running import ENVIRONMENTS

    (python,) = sorted(ENVIRONMENTS.glob("xgboost-*/bin/python"))[-1:]
    return str(python)


def cpu_seconds(platform: RunningPlatform) -> float:
    """User and system seconds of the platform's processes so far."""
    total = 0
    for pid in platform.processes().values():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def spread(values: list[float]) -> str:
    """Minimum to maximum and the number of runs."""
    return f"min {min(values):.1f}  max {max(values):.1f}  n={len(values)}"


if __name__ == "__main__":
    main()
