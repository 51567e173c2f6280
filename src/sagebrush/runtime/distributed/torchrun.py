"""One host's agent of torchrun, in this very process: it starts the ranks of this host and ends with them.

Arguments as SageMaker's own launcher gives them: ``--nnodes N --nproc_per_node P``, algo-1, port 7777 and the number of
the host (sagemaker-training-toolkit, ``torch_distributed``). SIGTERM is passed on to the ranks.
"""

from __future__ import annotations

import importlib
import os
import signal
from types import ModuleType

from sagebrush.runtime import hosts as job_hosts
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.training_environment import TrainingEnvironment

PORT = 7777
_RANK = "sagebrush.runtime.distributed.rank"


def run(path: str, environment: TrainingEnvironment, hosts: list[str]) -> int:
    """Run the script as the ranks of this host, one of ``hosts``, to their end; the exit code of the first that failed.

    Ends by the signal that ended a rank, where it was one. Raises UserError.
    """
    if not path.endswith(".py"):
        raise UserError(f"Distributed training starts Python scripts (*.py), and {environment.entry_point} is none.")
    _name_the_network(environment)
    launcher = _launcher()
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    from sagebrush.runtime.distributed import rendezvous

    rendezvous.register()
    first = job_hosts.reachable_name(hosts[0])
    number, processes = hosts.index(environment.current_host), _processes(environment)
    options = {
        "nnodes": len(hosts),
        "nproc_per_node": processes,
        "rdzv_backend": rendezvous.BACKEND,
        "rdzv_endpoint": f"{first}:{PORT}",
        "rdzv_id": environment.environ.get("TRAINING_JOB_NAME") or "job",
        "rdzv_conf": f"rank={number}",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    each = f"{processes} process{'' if processes == 1 else 'es'}"
    print(f"[sagebrush] torchrun: host {number + 1} of {len(hosts)}, {each}", flush=True)
    try:
        launcher.run(launcher.parse_args([*arguments, "-m", _RANK, path, *environment.arguments()]))
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return _ended(failure.exitcode)
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def _processes(environment: TrainingEnvironment) -> int:
    """As SageMaker's launcher has it, one for each GPU, else one; but of GPUs that this build of torch can use."""
    import torch

    given = environment.environ.get("SM_NUM_GPUS", "")
    return max(1, int(given) if given.isdigit() else torch.cuda.device_count())


def _launcher() -> ModuleType:
    """``torch.distributed.run``. Raises UserError where there is no torch."""
    try:
        return importlib.import_module("torch.distributed.run")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UserError(
            "Distributed training of this kind needs PyTorch, which this image has not: use pytorch-training."
        ) from None


def _name_the_network(environment: TrainingEnvironment) -> None:
    """Which device the ranks' libraries talk over. What the job's own Environment says, stands."""
    device = str(environment.resources.get("network_interface_name", "eth0"))
    for library in ("NCCL", "GLOO", "TP"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", device)


def _ended(code: int) -> int:
    """As the rank ended, so does its host: what a signal did is seen by whoever watches this process."""
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code
