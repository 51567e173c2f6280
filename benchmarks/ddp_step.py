"""A step of distributed data parallel training in a job of two hosts against the same below a bare torchrun.

Both run the same script in the same environment, two ranks over gloo on loopback, one thread each, in turn; what is
compared is the median time of a step (forward, backward with the all-reduce of the gradients, update). Claim: at most
1.03 times. Run: ``python -m benchmarks.ddp_step [--rounds 5]``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.algorithms import environment
from tests.journeys.running import RunningPlatform, discard, finished, free_port, start_platform, training_job_request
from tests.journeys.serving import archive_of

BUCKET = "sagemaker-journeys"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1.0-cpu-py310"
_GOAL = 1.03
_STEPS = 400
SCRIPT = f"""
import statistics, time
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

torch.set_num_threads(1)
torch.manual_seed(7)
dist.init_process_group("gloo")
relu = torch.nn.ReLU()
layers = [torch.nn.Linear(256, 512), relu, torch.nn.Linear(512, 512), relu, torch.nn.Linear(512, 10)]
model = DistributedDataParallel(torch.nn.Sequential(*layers))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
features, labels = torch.randn(256, 256), torch.randint(0, 10, (256,))
taken = []
for step in range({_STEPS}):
    began = time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(features), labels).backward()
    optimizer.step()
    taken.append(time.perf_counter() - began)
if dist.get_rank() == 0:
    print("step-ms", statistics.median(taken[{_STEPS} // 10:]) * 1000, flush=True)
dist.barrier()
dist.destroy_process_group()
"""


def main() -> None:
    """Run both sides in turn and print the ratio of their medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    python = environment.pytorch().python
    platform = start_platform(SAGEBRUSH_CAPACITY_CPUS="16")
    try:
        platform.client("s3").create_bucket(Bucket=BUCKET)
        archive = archive_of({"train.py": SCRIPT})
        platform.client("s3").put_object(Bucket=BUCKET, Key="ddp/sourcedir.tar.gz", Body=archive)
        in_jobs, bare = [], []
        for number in range(rounds):
            in_jobs.append(_in_a_job(platform, f"ddp-{number}"))
            bare.append(_bare(python))
    finally:
        discard(platform)
    ratio = statistics.median(in_jobs) / statistics.median(bare)
    for name, values in (("in a job of two hosts", in_jobs), ("below bare torchrun", bare)):
        print(f"step {name:<22} p50 {statistics.median(values):6.2f} ms   {min(values):.2f} to {max(values):.2f}")
    print(f"job / bare {ratio:.3f} x   (goal <= {_GOAL})")
    if ratio > _GOAL:
        raise SystemExit(f"{ratio:.3f} times a bare step, goal {_GOAL}")


def _in_a_job(platform: RunningPlatform, name: str) -> float:
    sagemaker, logs = platform.client("sagemaker"), platform.client("logs")
    request: dict[str, Any] = training_job_request(name)
    request["AlgorithmSpecification"]["TrainingImage"] = IMAGE
    request["ResourceConfig"]["InstanceCount"] = 2
    request["HyperParameters"] = {
        "sagemaker_program": json.dumps("train.py"),
        "sagemaker_submit_directory": json.dumps(f"s3://{BUCKET}/ddp/sourcedir.tar.gz"),
        "sagemaker_torch_distributed_enabled": "true",
    }
    sagemaker.create_training_job(**request)
    job = finished(sagemaker, name, seconds=900)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    found = logs.filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/", filterPattern='"step-ms"'
    )
    return float(found["events"][0]["message"].split()[1])


def _bare(python: Path) -> float:
    """Two agents of torchrun, as on two hosts."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(SCRIPT)
        meeting = ["--nnodes=2", "--nproc_per_node=1", "--master_addr=127.0.0.1", f"--master_port={free_port()}"]
        environ = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
        agents = [
            subprocess.Popen(
                [str(python), "-m", "torch.distributed.run", *meeting, f"--node_rank={rank}", "train.py"],
                cwd=folder,
                env=environ,
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]
        told = "".join(agent.communicate(timeout=300)[0] for agent in agents)
    return float(told.split("step-ms")[1].split()[0])


if __name__ == "__main__":
    main()
