"""Whole jobs that try what they should not: the network, the disk, and what the platform reads after them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.requests import BUCKET
from tests.training.running import Running, eventually, start
from tests.training.test_jobs import members, run

RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}


@pytest.fixture(params=["sandbox", "process"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A platform of each isolation that this host allows."""
    running = start(tmp_path / "data", isolation="auto" if request.param == "sandbox" else "process")
    try:
        compute = running.platform.compute
        if request.param == "sandbox" and compute.isolation() != "sandbox":
            pytest.skip(f"this host refuses a sandbox: {compute.isolation_problem()}")
        yield running
    finally:
        running.close()


@pytest.fixture
def isolating(running: Running) -> Running:
    if problem := running.platform.compute.network_isolation_problem():
        pytest.skip(problem)
    return running


# -- network ----------------------------------------------------------------------------------------------------

_ISOLATED = """
import json, os, socket, sys, time
def reaches(host, port):
    try: socket.create_connection((host, port), 5).close(); return True
    except OSError: return False
host = os.environ["SM_CURRENT_HOST"]
if host == "algo-1":
    listener = socket.create_server((socket.gethostbyname("algo-1"), 7777))
    for _ in range(2): listener.accept()[0].sendall(b"hello")
else:
    while not reaches("algo-1", 7777): time.sleep(0.05)
    print(socket.create_connection(("algo-1", 7777)).recv(100).decode())
import boto3
print(json.dumps({
    "outside": reaches("127.0.0.1", int(os.environ["OUTSIDE"])),
    "credentials": boto3.Session().get_credentials() is not None,
    "told": sorted(n for n in os.environ if "CREDENTIALS" in n or "TOKEN" in n or "ENDPOINT" in n),
    "region": os.environ["AWS_REGION"],
}))
"""


def test_an_isolated_job_reaches_its_own_hosts_and_nobody_else_and_has_no_credentials(isolating: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        job = run(
            isolating,
            "isolated",
            _ISOLATED,
            EnableNetworkIsolation=True,
            ResourceConfig=RESOURCES | {"InstanceCount": 2},
            Environment={"OUTSIDE": str(outside.getsockname()[1])},
        )
    assert job["TrainingJobStatus"] == "Completed", job
    assert job["EnableNetworkIsolation"] is True
    assert "hello" in isolating.printed("isolated", 2)
    for host in (1, 2):
        found = json.loads(isolating.printed("isolated", host)[-1])
        assert found == {"outside": False, "credentials": False, "told": [], "region": "us-east-1"}
    assert any("EnableNetworkIsolation" in line for line in isolating.log("isolated"))


def test_an_isolated_job_gets_its_channels_and_its_model_is_stored(isolating: Running) -> None:
    isolating.put("data/a.csv", b"1,2\n")
    uri = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/", "S3DataDistributionType": "FullyReplicated"}
    job = run(
        isolating,
        "channels",
        "open('/opt/ml/model/copy', 'w').write(open('/opt/ml/input/data/train/a.csv').read())",
        EnableNetworkIsolation=True,
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": uri}}],
    )
    assert job["TrainingJobStatus"] == "Completed", job
    assert members(isolating.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"copy": b"1,2\n"}


def test_where_no_network_can_be_withheld_an_isolated_job_is_refused_and_never_runs(tmp_path: Path) -> None:
    running = start(tmp_path / "data", isolation="process")
    try:
        job = run(running, "refused", "print('ran')", EnableNetworkIsolation=True)
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("ClientError: EnableNetworkIsolation cannot be kept on this host: ")
        assert "isolation is 'process'" in job["FailureReason"]
        assert running.printed("refused") == []
    finally:
        running.close()


# -- disk -------------------------------------------------------------------------------------------------------


def test_a_job_that_writes_more_than_its_volume_is_ended_and_the_reason_names_it(either: Running) -> None:
    program = """
import os
for number in range(400):
    with open(f"file-{number}", "wb") as file: file.write(bytes(16 << 20)); os.fsync(file.fileno())
"""
    job = run(either, "fills", program, ResourceConfig=RESOURCES)
    assert job["TrainingJobStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith("ClientError: No space: the job wrote more than its VolumeSizeInGB of 1 GB ("), reason
    eventually(lambda: not list(either.platform.settings.data_dir.glob("jobs/*")))


def test_one_huge_file_is_refused_where_it_is_written(either: Running) -> None:
    job = run(either, "huge", "open('huge', 'wb').truncate(1 << 40)", ResourceConfig=RESOURCES)
    assert job["FailureReason"].startswith("ClientError: No space: a single file would be larger than "), job
    assert "line 1" in job["FailureReason"]


def test_on_a_disk_without_its_reserve_no_job_begins(tmp_path: Path) -> None:
    running = start(tmp_path / "data", disk_reserve_gib=1e9)
    try:
        job = run(running, "late", "print('ran')")
        assert job["FailureReason"].startswith("CapacityError: No space: "), job
        assert "disk_reserve_gib" in job["FailureReason"]
        assert running.printed("late") == []
    finally:
        running.close()


def test_copied_channels_do_not_count_against_the_volume(tmp_path: Path) -> None:
    running = start(tmp_path / "data", isolation="process")
    try:
        for number in range(3):
            running.put(f"data/{number}", bytes(400 << 20))
        uri = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/", "S3DataDistributionType": "FullyReplicated"}
        job = run(
            running,
            "copies",
            "import time; time.sleep(2); open('mine', 'wb').write(b'x')",
            ResourceConfig=RESOURCES,
            InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": uri}}],
        )
        assert job["TrainingJobStatus"] == "Completed", job
    finally:
        running.close()


# -- what the platform reads afterwards ---------------------------------------------------------------------------

_LINKS = """
import os, shutil, sys
root, secret = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), os.environ["SECRET"]
open(f"{root}/model/kept", "w").write("weights")
os.symlink(secret, f"{root}/model/absolute")
os.symlink("../" * 40 + secret.lstrip("/"), f"{root}/model/relative")
os.symlink(os.path.dirname(secret), f"{root}/model/folder")
os.mkfifo(f"{root}/model/pipe")
os.mkdir(f"{root}/output/data") if not os.path.isdir(f"{root}/output/data") else None
shutil.rmtree(f"{root}/output/data"); os.symlink(os.path.dirname(secret), f"{root}/output/data")
shutil.rmtree(f"{root}/checkpoints", ignore_errors=True); os.symlink(os.path.dirname(secret), f"{root}/checkpoints")
"""


def test_links_out_of_a_jobs_folders_are_not_followed(either: Running, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    secret = tmp_path / "private" / "secret"
    secret.write_text("SECRET OF THE OPERATOR")
    config = {"S3Uri": f"s3://{BUCKET}/ck"}
    job = run(either, "links", _LINKS, Environment={"SECRET": str(secret)}, CheckpointConfig=config)
    assert job["TrainingJobStatus"] == "Completed", job
    assert members(either.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"kept": b"weights"}
    stored = either.keys()
    assert stored == ["output/links/output/model.tar.gz"]
    # Removing the job removed its links and nothing that they led to.
    eventually(lambda: not list(either.platform.settings.data_dir.glob("jobs/*")))
    assert secret.read_text() == "SECRET OF THE OPERATOR"


@pytest.mark.parametrize(
    "make",
    [
        "os.symlink(os.environ['SECRET'], path)",
        "os.mkfifo(path)",
        "os.symlink('/dev/zero', path)",
        "os.mkdir(path)",
        "open(path, 'wb').truncate(1 << 30)",
    ],
)
def test_a_failure_file_that_is_no_plain_file_is_not_read(either: Running, tmp_path: Path, make: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET OF THE OPERATOR")
    program = f"""
import os
path = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml") + "/output/failure"
{make}
raise SystemExit(3)
"""
    job = run(either, "failure", program, Environment={"SECRET": str(secret)})
    assert job["TrainingJobStatus"] == "Failed"
    assert "exit code: 3" in job["FailureReason"]
    assert "SECRET" not in job["FailureReason"]
