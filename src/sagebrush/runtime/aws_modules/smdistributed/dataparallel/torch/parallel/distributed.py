"""``DistributedDataParallel``, as scripts of the first generation import it."""

from __future__ import annotations

from typing import Any

import torch


class DistributedDataParallel(torch.nn.parallel.DistributedDataParallel):  # type: ignore[misc]
    """torch's own. Devices are those of GPUs: a model that lies in the host's memory has none."""

    def __init__(self, module: torch.nn.Module, device_ids: list[Any] | None = None, **options: Any):
        on_host = all(parameter.device.type == "cpu" for parameter in module.parameters())
        super().__init__(module, device_ids=None if on_host else device_ids, **options)
