"""The processes of one side: what they cost, where they run, and stopping them while another side is measured."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

#: Names the pids a side begins with; their descendants, and processes with the side's mark, belong to it as well.
Side = Callable[[], Iterable[int]]
#: An environment variable with the side's name: finds daemons that left the tree.
MARK = "SAGEBRUSH_BENCHMARK_SIDE"
_TICKS = os.sysconf("SC_CLK_TCK")


def marked(name: str) -> set[int]:
    """Every living process that was started with this mark."""
    wanted = f"{MARK}={name}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                found.add(int(entry.parent.name))
    return found


def tree(roots: Iterable[int]) -> set[int]:
    """These processes and all their descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = _fields(entry)
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def cpu_seconds(side: Side) -> float:
    """User and system time so far of the side's living processes, ended threads and reaped children included."""
    total = 0
    for pid in tree(side()):
        with contextlib.suppress(OSError):
            fields = _fields(Path(f"/proc/{pid}/stat"))
            total += sum(map(int, fields[11:15]))
    return total / _TICKS


def pss_mb(side: Side) -> float:
    """Memory of the side, shared pages counted in parts."""
    total = 0
    for pid in tree(side()):
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def pin(side: Side, cpu: int) -> None:
    """Move every thread of the side to one processor; later threads inherit it."""
    for pid in tree(side()):
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), {cpu})


def send(side: Side, number: signal.Signals) -> None:
    """Signal every process of the side, which this program started."""
    for pid in tree(side()) - {os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _fields(stat: Path) -> list[str]:
    # The command name, in parentheses, may itself contain spaces: what follows begins with the state.
    return stat.read_text().rpartition(")")[2].split()
