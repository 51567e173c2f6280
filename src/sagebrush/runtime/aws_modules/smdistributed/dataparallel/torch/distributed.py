"""The first generation's interface: functions of torch.distributed by their names, and the rank on this host.

Whatever else torch.distributed has can be imported from here too.
"""

from __future__ import annotations

import os
from typing import Any

import torch.distributed

from . import torch_smddp


def init_process_group(*arguments: Any, **options: Any) -> None:
    """Join the other ranks of the job, over the backend "smddp" where none is named."""
    if not arguments:
        options.setdefault("backend", torch_smddp.BACKEND)
    torch.distributed.init_process_group(*arguments, **options)


def get_local_rank() -> int:
    """The number of this process on its host, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def get_local_size() -> int:
    """How many processes this host has."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def __getattr__(name: str) -> Any:
    return getattr(torch.distributed, name)
