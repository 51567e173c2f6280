"""The control plane at work: describing, listing and creating while 50 jobs run and uploads stream.

Clients in processes of their own ask at a steady rate, one operation after the other; one of them does nothing but
verify who asks (GetCallerIdentity), and its 99th percentile in the same run is the unit. Uploads of 1 GiB in parts go
on all the time. Claim: the p99 of each operation is at most 5 times the unit's, and nobody starves.
Run: ``python -m benchmarks.mixed_load [--jobs 50] [--seconds 30] [--rate 40]``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from typing import Any

from boto3.s3.transfer import TransferConfig
from tests.journeys.running import (
    ROLE,
    XGBOOST_IMAGE,
    RunningPlatform,
    discard,
    eventually,
    start_platform,
    training_job_request,
)

_GOAL = 5.0
_CLIENTS = 4
_NOTHING = "GetCallerIdentity"
_PROGRAM = "import time; time.sleep(600)"
Latencies = dict[str, list[float]]


def main() -> None:
    """Fill, load, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second of all clients together")
    options = parser.parse_args()
    platform = start_platform(
        SAGEBRUSH_CAPACITY_CPUS=str(2 * options.jobs + 2),
        SAGEBRUSH_CAPACITY_MEMORY_GIB="4096",
        SAGEBRUSH_STOP_GRACE_SECONDS="1",
    )
    try:
        platform.client("s3").create_bucket(Bucket="sagemaker-journeys")
        _start_jobs(platform, options.jobs)
        alone, _ = _load(platform, options.seconds / 3, options.rate, uploads=0)
        latencies, uploaded = _load(platform, options.seconds, options.rate, uploads=1)
    finally:
        discard(platform)
    print(f"{options.jobs} jobs run, {options.rate:g} requests/s; without uploads:")
    _tell(alone)
    print(f"while 1 GiB uploads stream ({uploaded:.1f} GiB meanwhile):")
    worst = _tell(latencies)
    if worst > _GOAL:
        raise SystemExit(f"the slowest operation has {worst:.1f} times the p99 of {_NOTHING}, goal {_GOAL:g}")


def _start_jobs(platform: RunningPlatform, count: int) -> None:
    sagemaker = platform.client("sagemaker", max_pool_connections=8)
    with ThreadPoolExecutor(8) as pool:
        names = [f"running-{number}" for number in range(count)]
        list(pool.map(lambda name: sagemaker.create_training_job(**training_job_request(name, _PROGRAM)), names))

    def training() -> bool:
        described = sagemaker.list_training_jobs(MaxResults=100, StatusEquals="InProgress")["TrainingJobSummaries"]
        return [job.get("SecondaryStatus") for job in described] == ["Training"] * count

    eventually(training, seconds=120, what="all jobs to run")


def _load(platform: RunningPlatform, seconds: float, rate: float, *, uploads: int) -> tuple[Latencies, float]:
    """Latencies by operation, in seconds, and GiB that were uploaded meanwhile."""
    context = multiprocessing.get_context("spawn")
    stop, uploaded = context.Event(), context.Value("d", 0.0)
    streams = [context.Process(target=_upload, args=(platform, stop, uploaded)) for _ in range(uploads)]
    results: Any = context.Queue()
    clients = [
        context.Process(target=_ask, args=(platform, number, seconds, rate / _CLIENTS, results))
        for number in range(_CLIENTS)
    ]
    for process in (*streams, *clients):
        process.start()
    merged: Latencies = {}
    for _ in clients:
        for operation, values in results.get(timeout=seconds * 10 + 60).items():
            merged.setdefault(operation, []).extend(values)
    stop.set()
    for process in (*streams, *clients):
        process.join()
    return merged, float(uploaded.value)


def _ask(platform: RunningPlatform, number: int, seconds: float, rate: float, results: Any) -> None:
    """One client: every operation in turn, each begun when its time has come and not before."""
    sagemaker, sts = platform.client("sagemaker"), platform.client("sts")
    model = {"PrimaryContainer": {"Image": XGBOOST_IMAGE}, "ExecutionRoleArn": ROLE}
    stamp = time.monotonic_ns()
    count = 0

    def create() -> None:
        sagemaker.create_model(ModelName=f"m-{stamp}-{number}-{count}", **model)

    operations: dict[str, Callable[[], Any]] = {
        _NOTHING: sts.get_caller_identity,
        "DescribeTrainingJob": lambda: sagemaker.describe_training_job(TrainingJobName="running-0"),
        "ListTrainingJobs": lambda: sagemaker.list_training_jobs(MaxResults=50),
        "CreateModel": create,
    }
    for act in operations.values():
        act()
        count += 1
    latencies: Latencies = {operation: [] for operation in operations}
    began = time.monotonic()
    for turn in range(int(seconds * rate)):
        time.sleep(max(0.0, began + turn / rate - time.monotonic()))
        operation = list(operations)[turn % len(operations)]
        count += 1
        asked = time.monotonic()
        operations[operation]()
        latencies[operation].append(time.monotonic() - asked)
    results.put(latencies)


def _upload(platform: RunningPlatform, stop: Event, uploaded: Any) -> None:
    """Uploads of 1 GiB in parts, one after another."""
    s3 = platform.client("s3")
    config = TransferConfig(multipart_chunksize=16 << 20, max_concurrency=2)
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(1 << 30)
        while not stop.is_set():
            s3.upload_file(file.name, "sagemaker-journeys", "large", Config=config, Callback=_counting(uploaded))


def _counting(uploaded: Any) -> Callable[[int], None]:
    def count(size: int) -> None:
        with uploaded.get_lock():
            uploaded.value += size / (1 << 30)

    return count


def _tell(latencies: Latencies) -> float:
    """Print each operation's figures; the worst multiple of the unit's p99."""
    unit = _p99(latencies[_NOTHING])
    for operation, values in latencies.items():
        median, p99 = statistics.median(values) * 1e3, _p99(values) * 1e3
        told = f"p50 {median:7.1f} ms   p99 {p99:7.1f} ms   slowest {max(values) * 1e3:7.1f} ms"
        print(f"  {operation:22} {len(values):5} answered   {told}   {_p99(values) / unit:5.2f} x")
    return max(_p99(values) / unit for values in latencies.values())


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


if __name__ == "__main__":
    main()
