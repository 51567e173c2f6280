"""The size of this host, or of the container the platform runs in."""

from __future__ import annotations

import os
from pathlib import Path

_GIB = 2**30
_CGROUPS = Path("/sys/fs/cgroup")


def cpus() -> float:
    """CPUs that this process may use: affinity, and the quota of our control group where there is one."""
    usable = float(len(os.sched_getaffinity(0)))
    quota = _words(_CGROUPS / "cpu.max") or _words(
        _CGROUPS / "cpu/cpu.cfs_quota_us", _CGROUPS / "cpu/cpu.cfs_period_us"
    )
    if len(quota) == 2 and quota[0].isdigit() and int(quota[1]) > 0:
        usable = min(usable, int(quota[0]) / int(quota[1]))
    return usable


def memory_gib() -> float:
    """Memory in GiB: the machine's, or our control group's limit where that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _words(_CGROUPS / "memory.max") or _words(_CGROUPS / "memory/memory.limit_in_bytes")
    if limit and limit[0].isdigit():
        total = min(total, int(limit[0]))
    return total / _GIB


def _words(*files: Path) -> list[str]:
    try:
        return [word for file in files for word in file.read_text().split()]
    except OSError:
        return []
