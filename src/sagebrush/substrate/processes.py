"""Telling one process from another that later got its number: pid, start time and boot id together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@lru_cache
def boot_id() -> str:
    """This boot of this machine; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_time(pid: int) -> int | None:
    """When ``pid`` started, in clock ticks since boot; None when there is no such process, or only its zombie.

    Where there is no /proc, 0 for every process that exists.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        return 0
    return None if fields[0] == "Z" else int(fields[19])


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, once."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The identity of a process that exists now."""
        return cls(pid, start_time(pid) or 0, boot_id())

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        return self.boot == boot_id() and start_time(self.pid) == self.started
