"""A File channel of 10 GB from the local store against copying the same files.

Accepted -> first line of user code for a job with the channel, less the same without it, against ``cp`` of the stored
files to the same disk: in a sandbox they are bound, not copied. Claim: at least 50 times faster.
Run: ``python -m benchmarks.file_channel [--gigabytes 10]`` (takes three times the space).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.journeys.running import RunningPlatform, discard, finished, start_platform, training_job_request

from benchmarks.job_overhead import spread

BUCKET = "sagemaker-journeys"
_PIECE = 1_000_000_000
_ROUNDS = 5
_GOAL = 50.0
_PROGRAM = (
    "import os, time; t = time.time_ns(); d = '/opt/ml/input/data/big'; "
    "n = sum(e.stat().st_size for e in os.scandir(d)) if os.path.isdir(d) else 0; print('first-line', t, n)"
)


def main() -> None:
    """Fill the store, run jobs with and without the channel, copy, and print the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=int, default=10)
    count = parser.parse_args().gigabytes
    platform = start_platform()
    try:
        ratio = measure(platform, count)
    finally:
        discard(platform)
    if ratio < _GOAL:
        raise SystemExit(f"{ratio:.0f} times faster than a copy, goal {_GOAL:.0f}")


def measure(platform: RunningPlatform, count: int) -> float:
    """Copying as a multiple of what the channel adds to a start."""
    s3 = platform.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    with tempfile.TemporaryDirectory(dir=platform.data_dir.parent) as folder:
        piece = Path(folder, "piece")
        piece.write_bytes(os.urandom(1_000_000) * (_PIECE // 1_000_000))
        for number in range(count):
            s3.upload_file(str(piece), BUCKET, f"big/part-{number}")
    _start(platform, "warm-up", count=0)
    added = []
    for number in range(_ROUNDS):
        with_channel = _start(platform, f"with-{number}", count=count)
        added.append(with_channel - _start(platform, f"without-{number}", count=0))
    channel = max(statistics.median(added), 0.1)
    copied = _copy(platform.data_dir, count)
    print(f"a channel of {count} GB adds   p50 {channel:9.1f} ms   {spread(added)}")
    print(f"copying the same files       {copied:9.0f} ms")
    print(f"copy / channel               {copied / channel:9.0f} x   (goal >= {_GOAL:.0f})")
    return copied / channel


def _start(platform: RunningPlatform, name: str, *, count: int) -> float:
    """Milliseconds from acceptance to the program's first line; it checks that the files are there."""
    sagemaker, logs = platform.client("sagemaker"), platform.client("logs")
    request: dict[str, Any] = training_job_request(name, _PROGRAM)
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/big/", "S3DataDistributionType": "FullyReplicated"}
    if count:
        request["InputDataConfig"] = [{"ChannelName": "big", "DataSource": {"S3DataSource": source}}]
    sagemaker.create_training_job(**request)
    accepted = time.time_ns()
    job = finished(sagemaker, name, seconds=900)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    found = logs.filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/", filterPattern='"first-line"'
    )
    words = found["events"][0]["message"].split()
    assert int(words[2]) == count * _PIECE
    return (int(words[1]) - accepted) / 1e6


def _copy(data_dir: Path, count: int) -> float:
    """Milliseconds to copy the stored files, to the disk: what is only in memory is not yet copied."""
    stored = [path for path in data_dir.rglob("*") if path.is_file() and path.stat().st_size == _PIECE]
    assert len(stored) == count
    target = data_dir / "copied"
    target.mkdir()
    began = time.monotonic()
    for number, path in enumerate(stored):
        shutil.copyfile(path, target / str(number))
        with (target / str(number)).open("rb+") as file:
            os.fsync(file.fileno())
    return (time.monotonic() - began) * 1000


if __name__ == "__main__":
    main()
