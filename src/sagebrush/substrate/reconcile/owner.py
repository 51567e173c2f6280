"""Who holds a lease: a process, named so that another can tell whether it still lives."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from sagebrush.substrate.processes import boot_id, start_time


@lru_cache
def pid_namespace() -> str:
    """What pids mean here: two containers on one machine have the same boot and the same pids."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "unknown-namespace"


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
    if namespace != pid_namespace() or not pid.isdigit():
        return False
    return str(start_time(int(pid))) != started
