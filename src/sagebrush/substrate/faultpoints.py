"""Named points at which tests kill the process, to show that a kill there loses nothing.

A point is declared where it is used, ``POINT = declare("store.before-commit")``, and passed with ``reach(POINT)``,
which costs one comparison. ``SAGEBRUSH_FAULT_POINT=<name>[:<n>]`` in the environment at start kills the process
(SIGKILL) the n-th time it gets there. Each process's main hands its environment to :func:`arm`, apart from Settings: a
fault is no setting, and nobody should find one in ``sagebrush config``.

``SAGEBRUSH_FAULT_LEDGER=<file>`` gets the name of each point that killed: ``tests/faults/ledger.py`` compares it with
what is declared, so that no point is left untried.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping

VARIABLE = "SAGEBRUSH_FAULT_POINT"
LEDGER = "SAGEBRUSH_FAULT_LEDGER"

_declared: set[str] = set()
_armed: str | None = None
_left = 0
_ledger = ""
_lock = threading.Lock()


def declare(name: str) -> str:
    """Register a point and return its name."""
    _declared.add(name)
    return name


def declared() -> frozenset[str]:
    """Every point declared by the modules imported so far."""
    return frozenset(_declared)


def arm(environ: Mapping[str, str]) -> None:
    """Called once by a process's main: arm the point that the environment names, if any."""
    global _armed, _left, _ledger
    name, _, count = environ.get(VARIABLE, "").partition(":")
    _armed, _left = (name or None), int(count or 1)
    _ledger = environ.get(LEDGER, "")


def reach(point: str) -> None:
    """Pass a point; does not return where the point is armed and its count is up."""
    if _armed is None or point != _armed:
        return
    global _left
    with _lock:
        _left -= 1
        if _left <= 0:
            _note(point)
            os.kill(os.getpid(), signal.SIGKILL)


def _note(point: str) -> None:
    if not _ledger:
        return
    descriptor = os.open(_ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(descriptor, f"{point}\n".encode())
    os.close(descriptor)
