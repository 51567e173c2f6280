"""Scripts of several processes: what ranks are told, how they end, what the data parallel library's names do."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.algorithms import environment

# The first of them may have to wait until the environment is built.
pytestmark = pytest.mark.timeout(600)

SOURCE = Path(__file__).parents[2] / "src"
TORCHRUN = {"sagemaker_torch_distributed_enabled": "true"}
SMDDP = {"sagemaker_distributed_dataparallel_enabled": "true"}
#: Loopback addresses that no job of a platform has: those begin at 127.0.1.2.
_BLOCKS = itertools.count(os.getpid() % 200)


class Hosts:
    """One job: the runtime on each of its hosts, as the platform starts it without a sandbox."""

    def __init__(self, base: Path, python: Path, count: int):
        block = next(_BLOCKS) % 250
        self._python = python
        self.names = [f"algo-{number}" for number in range(1, count + 1)]
        self.addresses = {name: f"127.250.{block}.{number + 2}" for number, name in enumerate(self.names)}
        self.base = base
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, program: str, parameters: dict[str, str], **variables: str) -> None:
        for name in self.names:
            root = self.base / name
            for folder in ("input/config", "code", "output", "model", "tmp"):
                (root / folder).mkdir(parents=True, exist_ok=True)
            (root / "code/train.py").write_text(textwrap.dedent(program))
            groups = [
                {"instance_group_name": host, "instance_type": "ml.m5.large", "hosts": [host]} for host in self.names
            ]
            config = {
                "hyperparameters": {"sagemaker_program": "train.py", "depth": "3"} | parameters,
                "resourceconfig": {
                    "current_host": name,
                    "current_group_name": name,
                    "hosts": self.names,
                    "instance_groups": groups,
                    "network_interface_name": "lo",
                },
            }
            for file, content in config.items():
                (root / f"input/config/{file}.json").write_text(json.dumps(content))
            environ = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(SOURCE),
                "PYTHONUNBUFFERED": "1",
                "SAGEMAKER_BASE_DIR": str(root),
                "SAGEBRUSH_HOST_ADDRESSES": json.dumps(self.addresses),
                "TMPDIR": str(root / "tmp"),
            }
            with (root / "log").open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    [str(self._python), "-m", "sagebrush.runtime.training"],
                    env=environ | variables,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    def ends(self) -> list[int]:
        """Wait; the exit codes in order of the hosts."""
        return [self.processes[name].wait(120) for name in self.names]

    def log(self, name: str = "algo-1") -> str:
        return (self.base / name / "log").read_text()

    def told(self, name: str = "algo-1") -> Any:
        """What the last line that is JSON says."""
        return json.loads([line for line in self.log(name).splitlines() if line.startswith("{")][-1])

    def failure(self, name: str = "algo-1") -> str:
        return (self.base / name / "output/failure").read_text()


@pytest.fixture(scope="module")
def python() -> Path:
    return environment.pytorch().python


@pytest.fixture
def job(tmp_path: Path, python: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path, python, 1)
    yield made
    end(made)


@pytest.fixture
def pair(tmp_path: Path, python: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path, python, 2)
    yield made
    end(made)


def end(hosts: Hosts) -> None:
    for process in hosts.processes.values():
        process.terminate()
        process.wait(60)


def test_ranks_have_torchruns_variables_and_those_of_the_script_and_its_arguments(pair: Hosts) -> None:
    program = """
        import json, os, sys
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT",
                 "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "SM_CURRENT_HOST", "OMPI_COMM_WORLD_RANK")
        if os.environ["LOCAL_RANK"] == "1":
            print(json.dumps({"arguments": sys.argv[1:], "cwd": os.getcwd()} | {n: os.environ.get(n) for n in names}))
    """
    pair.start(program, TORCHRUN, SM_NUM_GPUS="2")
    assert pair.ends() == [0, 0], pair.log()
    for number, name in enumerate(pair.names):
        assert pair.told(name) == {
            "arguments": ["--depth", "3"],
            "cwd": str(pair.base / name / "code"),
            "RANK": str(2 * number + 1),
            "LOCAL_RANK": "1",
            "WORLD_SIZE": "4",
            "LOCAL_WORLD_SIZE": "2",
            "GROUP_RANK": str(number),
            "MASTER_ADDR": pair.addresses["algo-1"],
            "MASTER_PORT": "7777",
            "GLOO_SOCKET_IFNAME": "lo",
            "NCCL_SOCKET_IFNAME": "lo",
            "SM_CURRENT_HOST": name,
            "OMPI_COMM_WORLD_RANK": None,
        }
    assert "torchrun: host 2 of 2, 2 processes" in pair.log("algo-2")
    assert (pair.base / "algo-1/output/success").exists()


SECOND = """
import torch.distributed as smddp
import smdistributed.dataparallel.torch.torch_smddp
from torch.nn.parallel import DistributedDataParallel as DDP
smddp.init_process_group(backend="smddp")
ranks = [smddp.get_rank(), smddp.get_world_size(), int(os.environ["LOCAL_RANK"])]
wrap = DDP
"""
FIRST = """
import smdistributed.dataparallel.torch.distributed as smddp
from smdistributed.dataparallel.torch.parallel import DistributedDataParallel
from smdistributed.dataparallel.torch.parallel.distributed import DistributedDataParallel as DDP
assert DDP is DistributedDataParallel
smddp.init_process_group()
ranks = [smddp.get_rank(), smddp.get_world_size(), smddp.get_local_rank()]
wrap = lambda model: DDP(model, device_ids=[smddp.get_local_rank()], broadcast_buffers=False)
"""
GRADIENT = """
torch.manual_seed(smddp.get_rank())
model = wrap(torch.nn.Linear(2, 1, bias=False))
model(torch.tensor([[1.0, 2.0]]) * (smddp.get_rank() + 1)).sum().backward()
total = torch.tensor([smddp.get_rank() + 1.0])
smddp.all_reduce(total, op=smddp.ReduceOp.SUM)
smddp.broadcast(total, 0)
smddp.barrier()
parameter = next(model.parameters())
told = {"gradient": parameter.grad.tolist(), "weights": parameter.tolist(), "ranks": ranks, "total": total.item()}
print(json.dumps(told | {"backend": smddp.get_backend(), "mpi": os.environ["OMPI_COMM_WORLD_RANK"]}))
"""


@pytest.mark.parametrize("generation", [FIRST, SECOND], ids=["first", "second"])
def test_both_generations_of_the_data_parallel_library_average_gradients(pair: Hosts, generation: str) -> None:
    pair.start("import json, os, torch\n" + generation + GRADIENT, SMDDP)
    assert pair.ends() == [0, 0], pair.log()
    seen = [pair.told(name) for name in pair.names]
    # The first rank's weights are everybody's, whatever each began with.
    assert seen[0].pop("weights") == seen[1].pop("weights")
    for rank, told in enumerate(seen):
        assert told == {
            "gradient": [[1.5, 3.0]],
            "ranks": [rank, 2, 0],
            "total": 3.0,
            "backend": "smddp",
            "mpi": str(rank),
        }


def test_hosts_outside_of_the_named_groups_run_the_script_alone(pair: Hosts) -> None:
    groups = {"sagemaker_distribution_instance_groups": '["algo-2"]'}
    pair.start('import json, os; print(json.dumps({"world": os.environ.get("WORLD_SIZE")}))', TORCHRUN | groups)
    assert pair.ends() == [0, 0], pair.log()
    assert (pair.told("algo-1"), pair.told("algo-2")) == ({"world": None}, {"world": "1"})


def test_how_a_rank_ends_is_how_its_host_ends(tmp_path: Path, python: Path) -> None:
    """The shim sees a signal as it would without torchrun; an exit code is the script's own."""
    ends = {}
    for ending in ("os.kill(os.getpid(), signal.SIGSEGV)", "sys.exit(41)", "sys.exit('the rows are gone')"):
        job = Hosts(tmp_path / str(len(ends)), python, 1)
        job.start(f"import os, signal, sys\n{ending}\n", TORCHRUN)
        ends[ending] = job.ends()[0]
    assert list(ends.values()) == [-signal.SIGSEGV, 41, 1]
    assert (tmp_path / "1/algo-1/output/failure").read_text() == "train.py ended with exit code 41"
    assert "the rows are gone" in (tmp_path / "2/algo-1/log").read_text()


def test_a_host_that_is_told_to_stop_tells_its_ranks(job: Hosts) -> None:
    program = """
        import os, signal, sys, time
        def stop(number, frame):
            os.write(1, b"saved %s\\n" % os.environb[b"RANK"])  # Whole: the ranks share the log.
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        os.write(1, b"here %s\\n" % os.environb[b"RANK"])
        time.sleep(600)
    """
    job.start(program, TORCHRUN, SM_NUM_GPUS="2")
    deadline = time.monotonic() + 120
    while not all(f"here {rank}" in job.log() for rank in (0, 1)):
        assert time.monotonic() < deadline, job.log()
        time.sleep(0.05)
    job.processes["algo-1"].terminate()
    assert job.ends() == [128 + signal.SIGTERM]
    assert sorted(line for line in job.log().splitlines() if line.startswith("saved")) == ["saved 0", "saved 1"]


def test_a_port_that_another_program_has_is_named(job: Hosts) -> None:
    with socket.create_server((job.addresses["algo-1"], 7777)):
        job.start("print('never')", TORCHRUN)
        assert job.ends() == [1]
    assert job.failure().startswith(f"ClientError: Port 7777 of {job.addresses['algo-1']}, where")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (TORCHRUN, "needs PyTorch, which this image has not"),
        ({"sagemaker_mpi_enabled": "true"}, "the distribution mpi"),
        ({"sagemaker_parameter_server_enabled": "true"}, "the distribution parameter_server"),
        ({"sagemaker_multi_worker_mirrored_strategy_enabled": "true"}, "multi_worker_mirrored_strategy"),
        ({"sagemaker_pytorch_xla_multi_worker_enabled": "true"}, "pytorchxla"),
        ({"mp_parameters": '{"partitions": 2}'}, "smdistributed.modelparallel"),
    ],
)
def test_what_cannot_be_launched_is_refused_before_the_script_runs(
    tmp_path: Path, parameters: dict[str, str], told: str
) -> None:
    job = Hosts(tmp_path, Path(sys.executable), 1)
    job.start("print('ran')", parameters)
    assert job.ends() == [1]
    assert job.failure().startswith("ClientError: ")
    assert told in job.failure()
    assert "ran" not in job.log().splitlines()


def test_a_distribution_that_is_switched_off_changes_nothing(tmp_path: Path) -> None:
    job = Hosts(tmp_path, Path(sys.executable), 1)
    job.start("print('ran')", {"sagemaker_mpi_enabled": "false", "sagemaker_torch_distributed_enabled": "false"})
    assert job.ends() == [0]
    assert job.log().splitlines() == ["ran"]


def test_only_scripts_of_python_become_ranks(tmp_path: Path) -> None:
    job = Hosts(tmp_path, Path(sys.executable), 1)
    (tmp_path / "algo-1/code").mkdir(parents=True)
    (tmp_path / "algo-1/code/train.sh").write_text("echo ran")
    job.start("", TORCHRUN | {"sagemaker_program": "train.sh"})
    assert job.ends() == [1]
    assert job.failure() == "ClientError: Distributed training starts Python scripts (*.py), and train.sh is none."


_SUM = """
import sys, torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1) * (dist.get_rank() + int(sys.argv[1]))
dist.all_reduce(total)
print(f"sum {total.item()}", flush=True)
dist.destroy_process_group()
"""


@pytest.mark.parametrize(("hosts", "ranks", "sums"), [(2, 1, ["21.0", "41.0"]), (1, 2, ["21.0", "41.0"])])
def test_torchrun_of_several_jobs_at_once_has_its_own_port_in_each(
    tmp_path: Path, python: Path, hosts: int, ranks: int, sums: list[str]
) -> None:
    (tmp_path / "sum.py").write_text(_SUM)
    agents: list[subprocess.Popen[str]] = []
    for first in (10, 20):
        block = next(_BLOCKS) % 250
        addresses = {f"algo-{number + 1}": f"127.250.{block}.{number + 2}" for number in range(hosts)}
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "SAGEBRUSH_HOST_ADDRESSES": json.dumps(addresses),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        # As SDK v3's driver says it.
        program = [str(python), "-m", "sagebrush.runtime.distributed.command"]
        meeting = [f"--nnodes={hosts}", f"--nproc_per_node={ranks}", "--master_addr=algo-1", "--master_port=7777"]
        agents += [
            subprocess.Popen(
                [*program, *meeting, f"--node_rank={number}", "sum.py", str(first)],
                env=environ,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number in range(hosts)
        ]
    told = [agent.communicate(timeout=120)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0] * len(agents), told
    for output, total in zip(told, [each for each in sums for _ in range(hosts)], strict=True):
        assert output.count(f"sum {total}") == ranks, told
