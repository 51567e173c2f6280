"""Resource limits by control groups, version 1 or 2, under the parents that the launcher found writable.

A launch names parents as ``memory=/sys/fs/cgroup/memory/...`` (version 1: one for each controller) or
``unified=/sys/fs/cgroup/...`` (version 2). The group of a job is called after its attempt directory.
"""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH102, PTH106, PTH110, PTH123

from __future__ import annotations

import os
import time

_CPU_PERIOD_US = 100_000
#: How long removing waits, in tries and seconds between them: nobody looks again.
_LEAVING_TRIES, _LEAVING_S = 50, 0.01


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, value: object) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def _counter(text: str, name: str) -> int:
    """The value in a file of ``name value`` lines."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


class Group:
    """One job's groups; empty when no parent is given."""

    def __init__(self, parents: list[tuple[str, str]], name: str):
        self._paths = {controller: f"{parent}/{name}" for controller, parent in parents}

    @property
    def limits_memory(self) -> bool:
        return "memory" in self._paths or "unified" in self._paths

    def create(self, memory_bytes: int, cpus_percent: int, pids: int) -> None:
        """Make the groups and set the limits; 0 means no limit. Raises OSError when the kernel refuses."""
        for path in self._paths.values():
            try:
                os.mkdir(path)
            except FileExistsError:
                # Of a shim of this very directory that died before the job began.
                continue
        quota = max(1000, cpus_percent * _CPU_PERIOD_US // 100)
        if (memory := self._paths.get("memory")) and memory_bytes:
            _write(f"{memory}/memory.limit_in_bytes", memory_bytes)
            if os.path.exists(f"{memory}/memory.memsw.limit_in_bytes"):
                _write(f"{memory}/memory.memsw.limit_in_bytes", memory_bytes)
        if (cpu := self._paths.get("cpu")) and cpus_percent:
            _write(f"{cpu}/cpu.cfs_period_us", _CPU_PERIOD_US)
            _write(f"{cpu}/cpu.cfs_quota_us", quota)
        if (group := self._paths.get("pids")) and pids:
            _write(f"{group}/pids.max", pids)
        if unified := self._paths.get("unified"):
            if memory_bytes:
                _write(f"{unified}/memory.max", memory_bytes)
                if os.path.exists(f"{unified}/memory.swap.max"):
                    _write(f"{unified}/memory.swap.max", 0)
            if cpus_percent:
                _write(f"{unified}/cpu.max", f"{quota} {_CPU_PERIOD_US}")
            if pids:
                _write(f"{unified}/pids.max", pids)

    def doors(self) -> list[int]:
        """Descriptors through which a process enters by writing ``0``; to be opened while still privileged."""
        return [os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for path in self._paths.values()]

    def peak_memory(self) -> int:
        """Highest memory use in bytes; 0 when unknown."""
        for path in self._paths.values():
            for name in ("memory.max_usage_in_bytes", "memory.peak"):
                if text := _read(f"{path}/{name}"):
                    return int(text)
        return 0

    def oom_kills(self) -> int:
        """How many processes the kernel killed because the limit was reached."""
        for path in self._paths.values():
            for name in ("memory.oom_control", "memory.events"):
                if killed := _counter(_read(f"{path}/{name}"), "oom_kill"):
                    return killed
        return 0

    def remove(self) -> None:
        """Remove the groups; waits a moment for killed processes that are still leaving them."""
        left = list(self._paths.values())
        for _ in range(_LEAVING_TRIES):
            left = [path for path in left if not _removed(path)]
            if not left:
                return
            time.sleep(_LEAVING_S)


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
