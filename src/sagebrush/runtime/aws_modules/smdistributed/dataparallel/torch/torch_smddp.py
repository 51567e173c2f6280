"""Importing this makes ``torch.distributed`` know the backend "smddp": NCCL where there are GPUs, else Gloo.

SageMaker's own backend has collectives for the network of certain instances; what they compute is the same.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch
import torch.distributed

BACKEND = "smddp"


def _create(store: Any, rank: int, size: int, timeout: timedelta) -> Any:
    if torch.cuda.is_available():
        options = torch.distributed.ProcessGroupNCCL.Options()
        options._timeout = timeout
        return torch.distributed.ProcessGroupNCCL(store, rank, size, options)
    return torch.distributed.ProcessGroupGloo(store, rank, size, timeout)


def _register() -> None:
    if BACKEND not in torch.distributed.Backend.backend_list:
        devices = ["cuda"] if torch.cuda.is_available() else ["cpu"]
        torch.distributed.Backend.register_backend(BACKEND, _create, devices=devices)


_register()
