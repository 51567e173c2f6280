"""The first generation's model wrapper."""

from .distributed import DistributedDataParallel

__all__ = ["DistributedDataParallel"]
