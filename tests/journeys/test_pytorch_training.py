"""PyTorch: the source document's own snippet, torchrun, endpoints, jobs of many hosts at once, failures of one rank."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.algorithms import environment
from tests.journeys.running import ROLE, ROOT, RunningPlatform, discard, finished, start_platform
from tests.journeys.serving import archive_of

# The first of them may have to wait until the environment is built.
pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

EXAMPLE = ROOT / "examples" / "source_document"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1.0-cpu-py310"
BUCKET = "sagemaker-journeys"
LOSS = re.compile(r"\[rank (\d) of (\d)\] epoch=(\d+) loss=([0-9.]+);")

#: Waits until all jobs are in this line at the same time, with their process groups open.
MEETING = """
import argparse, json, os, time
import boto3, torch
import torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--mine")
parser.add_argument("--all")
arguments = parser.parse_args()
hosts = json.loads(os.environ["SM_HOSTS"])
if "RANK" not in os.environ:  # as scripts do that are started without a launcher
    os.environ |= {"RANK": str(hosts.index(os.environ["SM_CURRENT_HOST"])), "WORLD_SIZE": str(len(hosts))}
dist.init_process_group("gloo")
s3 = boto3.client("s3")
if dist.get_rank() == 0:
    s3.put_object(Bucket="sagemaker-journeys", Key=arguments.mine)
wanted = arguments.all.split(",")
while True:
    there = s3.list_objects_v2(Bucket="sagemaker-journeys", Prefix=wanted[0].rpartition("/")[0]).get("Contents", [])
    if {entry["Key"] for entry in there} >= set(wanted):
        break
    time.sleep(0.1)
total = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(total)
print(f"met: rank {dist.get_rank()} sum {total.item()} at port {os.environ['MASTER_PORT']}", flush=True)
dist.destroy_process_group()  # Without it torch itself sometimes aborts at its end.
"""

FAILING = """
import argparse, time
import torch
import torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--failing", type=int)
parser.add_argument("--others", choices=("wait", "compute"))
arguments = parser.parse_args()
dist.init_process_group("gloo")

def step(number):
    if dist.get_rank() == arguments.failing and number == 3:
        raise ValueError("row 7 is upside down")
    if number == 3 and arguments.others == "wait":
        time.sleep(3600)
    dist.all_reduce(torch.ones(1))

for number in range(100_000):
    step(number)
"""


class Jobs:
    """Scripts on hosts of a platform, by boto3."""

    def __init__(self, platform: RunningPlatform):
        self.sagemaker, self._logs, self._s3 = map(platform.client, ("sagemaker", "logs", "s3"))
        if BUCKET not in [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]:
            self._s3.create_bucket(Bucket=BUCKET)

    def start(self, program: str, *, hosts: int = 2, **hyperparameters: Any) -> str:
        """A job of this script; its name."""
        name = f"torch-{uuid.uuid4().hex[:12]}"
        key = f"{name}/sourcedir.tar.gz"
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=archive_of({"train.py": textwrap.dedent(program)}))
        parameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://{BUCKET}/{key}"}
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=ROLE,
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            HyperParameters={n: json.dumps(value) for n, value in (parameters | hyperparameters).items()},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 5},
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
            StoppingCondition={"MaxRuntimeInSeconds": 500},
        )
        return name

    def end(self, name: str) -> dict[str, Any]:
        return finished(self.sagemaker, name, seconds=500)

    def log(self, name: str) -> dict[str, list[str]]:
        """Host -> what it printed."""
        group = "/aws/sagemaker/TrainingJobs"
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNamePrefix=name)
        printed: dict[str, list[str]] = {}
        for event in (event for page in pages for event in page["events"]):
            host = event["logStreamName"].removeprefix(f"{name}/").rpartition("-")[0]
            printed.setdefault(host, []).append(event["message"])
        return printed


@pytest.fixture(scope="module", params=["sandbox", "process"])
def jobs(request: pytest.FixtureRequest) -> Iterator[Jobs]:
    """Jobs in a sandbox, where names of hosts can be resolved, and without one, where they cannot."""
    if request.param == "sandbox":
        yield Jobs(request.getfixturevalue("platform"))
        return
    plain = start_platform(
        SAGEBRUSH_ISOLATION="process", SAGEBRUSH_CAPACITY_CPUS="32", SAGEBRUSH_CAPACITY_MEMORY_GIB="64"
    )
    yield Jobs(plain)
    discard(plain)


def alone(tmp_path: Path, table: bytes) -> list[float]:
    """What the example's train.py learns in a single process, without any platform."""
    (tmp_path / "digits.csv").write_bytes(table)
    stand_ins = ROOT / "src" / "sagebrush" / "runtime" / "aws_modules"
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT / 'src'}:{stand_ins}",
        "SM_CHANNEL_TRAINING": str(tmp_path),
        "SM_MODEL_DIR": str(tmp_path),
    }
    command = [str(environment.pytorch().python), str(EXAMPLE / "train.py"), "--epochs", "10", "--batch-size", "64"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return [float(loss) for *_, loss in LOSS.findall(result.stdout)]


def test_the_source_documents_snippet_trains_on_two_hosts_what_one_process_learns(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    platform.run_client("python", str(EXAMPLE / "prepare.py"))
    # The snippet names train.py as it lies in the working directory.
    start = f"import os, runpy; os.chdir({str(EXAMPLE)!r}); runpy.run_path('train_pytorch.py', run_name='__main__')"
    followed = platform.run_client("python", "-c", start, timeout=600).stdout
    sagemaker = platform.client("sagemaker")
    (listed,) = sagemaker.list_training_jobs(NameContains="pytorch-training-2")["TrainingJobSummaries"]
    job = sagemaker.describe_training_job(TrainingJobName=listed["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ResourceConfig"]["InstanceCount"] == 2
    assert job["HyperParameters"]["sagemaker_distributed_dataparallel_enabled"] == "true"
    log = Jobs(platform).log(listed["TrainingJobName"])
    losses: dict[str, list[float]] = {}
    for host, rank in (("algo-1", "0"), ("algo-2", "1")):
        found = LOSS.findall("\n".join(log[host]))
        assert {(number, world) for number, world, *_ in found} == {(rank, "2")}
        losses[host] = [float(loss) for *_, loss in found]
    assert losses["algo-1"] == losses["algo-2"]
    table = platform.client("s3").get_object(Bucket="my-bucket", Key="data/train/digits.csv")["Body"].read()
    single = alone(tmp_path, table)
    assert len(single) == 10
    assert losses["algo-1"] == pytest.approx(single, rel=1e-3)
    assert single[-1] < single[0] / 10
    # fit() shows both hosts, and what the image and the instance type became here.
    assert "[rank 0 of 2] epoch=10" in followed
    assert "[rank 1 of 2] epoch=10" in followed
    assert "this platform runs PyTorch" in followed
    assert "ml.p3.2xlarge has 1 GPU; this environment computes on processors" in followed


def test_what_torchrun_trained_is_deployed_with_and_without_handlers(platform: RunningPlatform, tmp_path: Path) -> None:
    program = Path(__file__).with_name("programs") / "sdk_v2_pytorch.py"
    prefix = f"torch-{uuid.uuid4().hex[:8]}"
    followed = platform.run_client("python", str(program), prefix, str(tmp_path), timeout=600).stdout
    result = json.loads(followed.partition("RESULT ")[2].splitlines()[0])
    assert result["hyperparameters"]["sagemaker_torch_distributed_enabled"] == "true"
    log = Jobs(platform).log(result["job"])
    assert "[sagebrush] torchrun: host 2 of 2, 1 process" in log["algo-2"]
    told = LOSS.findall("\n".join(log["algo-1"]))
    assert [(rank, world, epoch) for rank, world, epoch, _ in told] == [("0", "2", str(n)) for n in (1, 2, 3)]
    assert result["metrics"]["loss"] == pytest.approx(float(told[-1][-1]), abs=1e-6)
    direct = """
import json, sys, torch
rows = torch.tensor(json.loads(sys.argv[2]))
print(json.dumps(torch.jit.load(sys.argv[1])(rows).tolist()))
"""
    expected = environment.pytorch().compute(direct, tmp_path / "model.pt", json.dumps(result["rows"]))
    for kind in ("npy", "json", "csv"):
        assert result["plain"][kind] == [pytest.approx(row, abs=1e-5) for row in expected], kind
    assert result["handled"] == [max(range(10), key=row.__getitem__) for row in expected]


def test_jobs_of_several_hosts_run_at_once_and_do_not_meet_each_other(jobs: Jobs) -> None:
    prefix = uuid.uuid4().hex[:8]
    keys = [f"{prefix}/{letter}" for letter in "abc"]
    torchrun = {"sagemaker_torch_distributed_enabled": True}
    names = [jobs.start(MEETING, mine=key, all=",".join(keys), **torchrun) for key in keys[:2]]
    names.append(jobs.start(MEETING, mine=keys[2], all=",".join(keys)))
    ends = [jobs.end(name) for name in names]
    assert [end["TrainingJobStatus"] for end in ends] == ["Completed"] * 3, [e.get("FailureReason") for e in ends]
    logs = [jobs.log(name) for name in names]
    for log in logs:
        for number in (1, 2):
            assert [line for line in log[f"algo-{number}"] if line.startswith(f"met: rank {number - 1} sum 3.0")]
    met = [line.rpartition(" ")[2] for log in logs for line in log["algo-1"] if line.startswith("met:")]
    assert met[:2] == ["7777", "7777"]
    assert met[2] != "7777"


@pytest.mark.parametrize(("failing", "others"), [(0, "compute"), (1, "compute"), (1, "wait")])
def test_a_rank_that_fails_fails_the_job_with_its_own_line_and_ends_the_others(
    jobs: Jobs, failing: int, others: str
) -> None:
    options = {"failing": failing, "others": others, "sagemaker_torch_distributed_enabled": True}
    end = jobs.end(jobs.start(FAILING, **options))
    assert end["TrainingJobStatus"] == "Failed"
    assert end["FailureReason"].startswith("AlgorithmError: ValueError: row 7 is upside down\n  at ")
    assert "train.py:14 in step" in end["FailureReason"]
    assert f"(on algo-{failing + 1})" in end["FailureReason"]


@pytest.mark.parametrize(
    ("hyperparameters", "told"),
    [
        ({"sagemaker_mpi_enabled": True, "sagemaker_mpi_num_of_processes_per_host": 1}, "distribution mpi"),
        ({"sagemaker_parameter_server_enabled": True}, "distribution parameter_server"),
        ({"mp_parameters": {"partitions": 2}, "sagemaker_mpi_enabled": True}, "smdistributed.modelparallel"),
    ],
)
def test_a_distribution_that_is_not_there_says_so_and_names_those_that_are(
    platform: RunningPlatform, hyperparameters: dict[str, Any], told: str
) -> None:
    jobs = Jobs(platform)
    end = jobs.end(jobs.start("print('never')", **hyperparameters))
    assert end["TrainingJobStatus"] == "Failed"
    assert end["FailureReason"].startswith("ClientError: ")
    assert told in end["FailureReason"]
    assert "torch_distributed" in end["FailureReason"]
