"""Many jobs submitted at once on few slots: how close the whole comes to a schedule without any overhead.

200 jobs of one second each on 2 slots take 100 seconds if nothing lies between one job and the next. From the first
CreateTrainingJob to the end of the last job; the one-second programs are Python, so their starts count as overhead.
Claim: at most 1.2 times the ideal. Run: ``python -m benchmarks.job_queue [--jobs 200]``.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.journeys.running import discard, finished, start_platform, training_job_request

from benchmarks.job_overhead import one_job

SLOTS = 2
SECONDS = 1.0
_CPUS_OF_A_JOB = 2
_SUBMITTERS = 8
_GOAL = 1.2


def main() -> None:
    """Submit, wait for all, print the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=200)
    count = parser.parse_args().jobs
    platform = start_platform(SAGEBRUSH_CAPACITY_CPUS=str(SLOTS * _CPUS_OF_A_JOB))
    try:
        platform.client("s3").create_bucket(Bucket="sagemaker-journeys")
        sagemaker = platform.client("sagemaker", max_pool_connections=_SUBMITTERS)
        one_job(sagemaker, platform.client("logs"), "warm-up")
        ratio = measure(sagemaker, count)
    finally:
        discard(platform)
    if ratio > _GOAL:
        raise SystemExit(f"{ratio:.2f} times the ideal schedule, goal {_GOAL}")


def measure(sagemaker: Any, count: int) -> float:
    """The time of ``count`` jobs as a multiple of the ideal."""
    names = [f"queued-{number}" for number in range(count)]
    started = time.monotonic()
    with ThreadPoolExecutor(_SUBMITTERS) as pool:
        program = f"import time; time.sleep({SECONDS})"
        list(pool.map(lambda name: sagemaker.create_training_job(**training_job_request(name, program)), names))
    submitted = time.monotonic() - started
    jobs = [finished(sagemaker, name, seconds=count * SECONDS * 4) for name in names]
    taken = time.monotonic() - started
    assert all(job["TrainingJobStatus"] == "Completed" for job in jobs)
    ideal = count * SECONDS / SLOTS
    print(f"{count} jobs of {SECONDS:g} s on {SLOTS} slots: submitted in {submitted:.1f} s, done in {taken:.1f} s")
    print(f"against the ideal schedule of {ideal:.0f} s   {taken / ideal:.2f} x   (goal <= {_GOAL})")
    return taken / ideal


if __name__ == "__main__":
    main()
