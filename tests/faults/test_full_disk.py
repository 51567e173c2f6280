"""A job that fills the disk fails with that reason, and the platform on the same disk goes on working."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.running import RunningPlatform, discard, finished, free_port, training_job_request

pytestmark = pytest.mark.fault


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 96 MiB; making one needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root; this process has none")
    directory = Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(directory)], check=True)
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)
    directory.rmdir()


def test_a_job_that_fills_the_disk_says_so_and_the_platform_lives_on(small_disk: Path) -> None:
    settings = {"SAGEBRUSH_CAPACITY_CPUS": "8", "SAGEBRUSH_DISK_RESERVE_GIB": "0.03"}
    platform = RunningPlatform(small_disk / "data", free_port(), settings)
    platform.up()
    try:
        s3, sagemaker = platform.client("s3"), platform.client("sagemaker")
        s3.create_bucket(Bucket="sagemaker-journeys")
        program = """
with open("/opt/ml/model/big", "wb", buffering=0) as f:
    while True:
        f.write(bytes(1 << 20))
"""
        sagemaker.create_training_job(**training_job_request("fills", program))
        job = finished(sagemaker, "fills")
        assert job["TrainingJobStatus"] == "Failed"
        # Its own write may fail before it is looked at; then the reason is its traceback's.
        assert "No space" in job["FailureReason"]
        s3.put_object(Bucket="sagemaker-journeys", Key="after", Body=b"there is room again")
        sagemaker.create_training_job(**training_job_request("after", "print('fine')"))
        assert finished(sagemaker, "after")["TrainingJobStatus"] == "Completed"
    finally:
        discard(platform)
