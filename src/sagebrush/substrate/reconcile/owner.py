"""Who holds a lease: a process, named so that another can tell whether it still lives."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path


@lru_cache
def boot_id() -> str:
    """This boot of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown-boot"


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks (field 22 of /proc/<pid>/stat); None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def process_identity() -> str:
    """``<boot id>/<pid>/<start time>`` of this process."""
    return f"{boot_id()}/{os.getpid()}/{start_time(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether that owner certainly lives no more, as far as this machine can tell."""
    boot, _, rest = owner.partition("/")
    pid, _, started = rest.partition("/")
    if boot != boot_id() or not pid.isdigit():
        # Another machine (or an earlier boot of this one): only the lease's end tells.
        return False
    return start_time(int(pid)) != started
