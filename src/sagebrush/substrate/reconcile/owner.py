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


@lru_cache
def pid_namespace() -> str:
    """What pids mean here: two containers on one machine have the same boot and the same pids."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "unknown-namespace"


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks (field 22 of /proc/<pid>/stat); None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def process_identity() -> str:
    """``<boot id>/<pid namespace>/<pid>/<start time>`` of this process."""
    return f"{boot_id()}/{pid_namespace()}/{os.getpid()}/{start_time(os.getpid())}"


def is_dead(owner: str, *, one_host: bool) -> bool:
    """Whether the process in ``owner`` (what follows its identity is not looked at) certainly lives no more.

    ``one_host``: all owners are of this machine, so that one of another boot is dead; else only the lease's end tells.
    """
    boot, namespace, pid, started = (owner.split("/") + [""] * 4)[:4]
    if boot != boot_id():
        return one_host
    if namespace != pid_namespace() or not pid.isdigit() or start_time(os.getpid()) is None:
        return False
    return start_time(int(pid)) != started
