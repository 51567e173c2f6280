"""Warm starts: from CreateTrainingJob accepted to the first line after a script's imports, warm and cold.

Two platforms in the same run, one with warm starts switched off; jobs interleaved with bare forks of an interpreter
that has imported the same, which nothing that forks can beat. The script imports pandas and scikit-learn and stamps
its first line itself; it is also run by a shell, as SDK v3 and ``@remote`` do. Claim: warm, less the bare fork, at most
100 ms (median).
Run: ``python -m benchmarks.warm_start [--jobs 20]``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from typing import Any

from tests.journeys.running import ENVIRONMENTS, RunningPlatform, discard, finished, start_platform
from tests.journeys.running import training_job_request as request_of
from tests.journeys.serving import SKLEARN_IMAGE, archive_of

from benchmarks.job_overhead import spread

BUCKET = "sagemaker-journeys"
IMPORTS = "import time, pandas, sklearn.ensemble, sklearn.linear_model, sklearn.model_selection"
SCRIPT = f"{IMPORTS}; print('first-line', time.time_ns())"
_BY_A_SHELL = f'echo "{SCRIPT}" > train.py; python3 train.py'
_FORKS = f"""
{IMPORTS}
import os, sys
for line in sys.stdin:
    if os.fork() == 0:
        print(time.time_ns(), flush=True)
        os._exit(0)
    os.wait()
"""
_GOAL_MS = 100.0


def main() -> None:
    """Run both platforms' jobs and the forks, interleaved, and print medians and spread."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=20)
    count = parser.parse_args().jobs
    platforms = [start_platform(SAGEBRUSH_CAPACITY_CPUS="16", SAGEBRUSH_WARM_IDLE_MINUTES=m) for m in ("15", "0")]
    try:
        measure(*platforms, count)
    finally:
        for platform in platforms:
            discard(platform)


def measure(warm: RunningPlatform, cold: RunningPlatform, count: int) -> None:
    """Print what each way of starting took. Raises AssertionError when the claim does not hold."""
    clients = [_Client(platform) for platform in (warm, cold)]
    for client in clients:
        client.job("first")
    clients[0].until_warm()
    python = sorted(ENVIRONMENTS.glob("sklearn-*/bin/python"))[-1]
    forking = subprocess.Popen(
        [str(python), "-c", _FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    taken: dict[str, list[float]] = {"warm": [], "cold": [], "fork": [], "shell": [], "cold-shell": []}
    for number in range(count):
        taken["warm"].append(clients[0].job(f"warm-{number}"))
        taken["fork"].append(_fork(forking))
        taken["shell"].append(clients[0].job(f"shell-{number}", shell=True))
        if number % 4 == 0:
            taken["cold"].append(clients[1].job(f"cold-{number}"))
            taken["cold-shell"].append(clients[1].job(f"shell-{number}", shell=True))
    forking.communicate()
    middle = {name: statistics.median(values) for name, values in taken.items()}
    names = {
        "warm": "accepted -> first line, warm",
        "cold": "the same, cold",
        "shell": "by a shell, warm",
        "cold-shell": "by a shell, cold",
        "fork": "bare fork",
    }
    for name, what in names.items():
        print(f"{what:<30} p50 {middle[name]:8.1f} ms   {spread(taken[name])}")
    beyond = middle["warm"] - middle["fork"]
    print(f"warm, less the bare fork       p50 {beyond:8.1f} ms   (goal <= {_GOAL_MS:.0f})")
    print(f"cold / warm                        {middle['cold'] / middle['warm']:8.1f} x")
    print(f"by a shell, cold / warm            {middle['cold-shell'] / middle['shell']:8.1f} x")
    if beyond > _GOAL_MS:
        raise SystemExit(f"a warm start took {beyond:.0f} ms more than a bare fork")


class _Client:
    """Submits the script to one platform."""

    def __init__(self, platform: RunningPlatform):
        self._sagemaker, self._logs = platform.client("sagemaker"), platform.client("logs")
        s3 = platform.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="warm/sourcedir.tar.gz", Body=archive_of({"train.py": SCRIPT}))

    def job(self, name: str, *, shell: bool = False) -> float:
        """Milliseconds from acceptance to the script's own stamp."""
        request = request_of(name)
        request["AlgorithmSpecification"]["TrainingImage"] = SKLEARN_IMAGE
        request["HyperParameters"] = {
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(f"s3://{BUCKET}/warm/sourcedir.tar.gz"),
        }
        if shell:
            request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["/bin/bash", "-c", _BY_A_SHELL]
        self._sagemaker.create_training_job(**request)
        accepted = time.time_ns()
        job = finished(self._sagemaker, name, seconds=600)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        (stamp,) = self._lines(name, "first-line")
        return (int(stamp.split()[1]) - accepted) / 1e6

    def until_warm(self) -> None:
        """Submit until a job says that it started warm."""
        for number in range(100):
            name = f"until-warm-{number}"
            self.job(name)
            if any("Warm start" in line for line in self._lines(name, "sagebrush")):
                return
            time.sleep(0.5)
        raise SystemExit("no job started warm")

    def _lines(self, name: str, word: str) -> list[Any]:
        group, prefix = "/aws/sagemaker/TrainingJobs", f"{name}/"
        found = self._logs.filter_log_events(logGroupName=group, logStreamNamePrefix=prefix, filterPattern=f'"{word}"')
        return [event["message"] for event in found["events"]]


def _fork(forking: subprocess.Popen[str]) -> float:
    """Milliseconds from asking to the child's first line."""
    assert forking.stdin is not None
    assert forking.stdout is not None
    asked = time.time_ns()
    forking.stdin.write("\n")
    forking.stdin.flush()
    return (int(forking.stdout.readline()) - asked) / 1e6


if __name__ == "__main__":
    main()
