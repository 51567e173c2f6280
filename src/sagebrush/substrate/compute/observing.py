"""Reading an attempt directory: state.json, the lock, and whether the recorded processes are still the same ones."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from dataclasses import fields
from pathlib import Path
from typing import Any

from sagebrush.substrate.compute.shim import cgroups, launchfile, output, record
from sagebrush.substrate.compute.specification import Observation

LOCK = "lock"
_RECORDED = {f.name for f in fields(Observation)} - {"phase", "pid"}


def read_state(directory: Path) -> dict[str, Any] | None:
    """The record; None before there is one. It is replaced whole, so it is never half there."""
    try:
        state: dict[str, Any] = json.loads((directory / record.NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return state


def lock_is_held(directory: Path) -> bool:
    """Whether some process holds the directory. Looking takes the lock for an instant; launching allows for that."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def is_same_process(state: dict[str, Any], who: str) -> bool:
    """Whether the recorded 'shim' or 'keeper' lives: pid, start time and boot must agree, so no reuse deceives."""
    pid, start = state.get(f"{who}_pid"), state.get(f"{who}_start")
    if pid is None or start is None or state["boot_id"] != record.boot_id():
        return False
    return bool(record.start_time(pid) == start)


def open_process(state: dict[str, Any], who: str) -> int | None:
    """A pidfd of the recorded process, or None when it is gone."""
    pid = state.get(f"{who}_pid")
    if not pid:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    # Compared after opening: a pid reused in between has another start time.
    if is_same_process(state, who):
        return descriptor
    os.close(descriptor)
    return None


def observe(directory: Path) -> Observation:
    """What is known of the directory now."""
    state = read_state(directory)
    if state is None:
        if not lock_is_held(directory):
            state = read_state(directory)
            return Observation("absent") if state is None else observe(directory)
        return Observation("starting", start=_launch(directory).text("start"))
    if state["phase"] != "exited" and not _alive(directory, state):
        # The shim may have recorded the end between our reading and our looking.
        state = read_state(directory) or state
        if state["phase"] != "exited":
            sweep(directory)
            return _observation("lost", directory, state)
    return _observation(state["phase"], directory, state)


def _alive(directory: Path, state: dict[str, Any]) -> bool:
    if state["boot_id"] != record.boot_id():
        return False
    # A dead shim's keeper is taking the job down; only when that is done may another attempt begin.
    return is_same_process(state, "shim") or is_same_process(state, "keeper") or lock_is_held(directory)


def _observation(phase: Any, directory: Path, state: dict[str, Any]) -> Observation:
    known = {name: value for name, value in state.items() if name in _RECORDED}
    if known.get("first_output_us") is None:
        known["first_output_us"] = _first_output_us(directory)
    return Observation(phase, pid=_job_pid(state) if phase == "running" else None, **known)


def _first_output_us(directory: Path) -> int | None:
    try:
        with (directory / output.NAME).open("rb") as file:
            stamp = file.read(20).partition(b" ")[0]
    except FileNotFoundError:
        return None
    return int(stamp) * 1000 if stamp.isdigit() else None


def _job_pid(state: dict[str, Any]) -> int | None:
    keeper = state.get("keeper_pid")
    try:
        children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def _launch(directory: Path) -> launchfile.LaunchFile:
    """What was to be run; empty before that was written."""
    try:
        return launchfile.LaunchFile.decode((directory / launchfile.NAME).read_bytes())
    except FileNotFoundError:
        return launchfile.LaunchFile()


def sweep(directory: Path) -> None:
    """End what may be left of a lost job in its control groups, and remove those."""
    launch = _launch(directory)
    parents, name = launch.pairs("cgroup"), launch.text("cgroup_name")
    if not name:
        return
    for _, parent in parents:
        members = Path(parent, name, "cgroup.procs")
        try:
            pids = [int(line) for line in members.read_text().split()]
        except OSError:
            continue
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    cgroups.Group(parents, name).remove()
