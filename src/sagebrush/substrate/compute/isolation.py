"""How jobs are kept apart on this host: 'sandbox' or 'process', and networks of their own; found out by doing."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sagebrush.substrate.errors import CallerError

Mode = Literal["sandbox", "process"]
#: A trial runs a command that succeeds only inside a working sandbox; it returns '' or what went wrong.
Trial = Callable[["Isolation", Path], str]
#: Makes a network namespace that works; '' or what went wrong.
NetworkTrial = Callable[[], str]


class Isolation:
    """The way of this host. ``wanted`` is the setting: 'auto' tries the sandbox, 'sandbox' insists on it."""

    def __init__(self, wanted: str, trial: Trial, network_trial: NetworkTrial):
        self._wanted = wanted
        self._trial = trial
        self._network_trial = network_trial
        self._network_refused: str | None = None
        self._lock = threading.Lock()
        self._mode: Mode | None = None
        self.user_namespace = os.geteuid() != 0
        #: Why there is no sandbox; '' while there is one or nobody asked.
        self.problem = ""

    def mode(self) -> Mode:
        """Raises CallerError ``SandboxUnavailable`` when the setting insists and the host refuses."""
        with self._lock:
            if self._mode is None:
                self._mode = self._find_out()
            return self._mode

    def private_network(self) -> bool:
        """Whether a job can have a network of its own here: only in a sandbox, and where the kernel allows."""
        return self.mode() == "sandbox" and not self.network_problem()

    def isolated_network_problem(self) -> str:
        """Why no job can be kept off the network here; '' when it can. For those that must not run with one."""
        if self.mode() == "process":
            why = self.problem or f"the setting isolation is '{self._wanted}'"
            return f"jobs run as plain processes here, which share the host's network: {why}"
        problem = self.network_problem()
        return f"the host allows no network namespaces: {problem}" if problem else ""

    def network_problem(self) -> str:
        """What the host says to a network namespace; '' when it works."""
        with self._lock:
            if self._network_refused is None:
                self._network_refused = self._network_trial()
            return self._network_refused

    def user(self, directory: Path) -> int:
        """The user and group id for one attempt; 0 keeps the platform's own user.

        As root each attempt has a number of its own, far from those of real users. Where only a part of the numbers
        is mapped (a container without root of the host) the upper end of that part is used.
        """
        if os.geteuid() != 0:
            return 0
        first, _, count = (int(word) for word in Path("/proc/self/uid_map").read_text().splitlines()[0].split())
        spread = zlib.crc32(os.fsencode(directory.absolute()))
        if first == 0 and count > 2_000_000_000:
            return 1_000_000_000 + spread % 1_000_000_000
        return count - 5000 + spread % 4000 if first == 0 and count >= 60000 else 0

    def _find_out(self) -> Mode:
        if self._wanted == "process":
            return "process"
        directory = Path(tempfile.mkdtemp(prefix="sagebrush-probe-"))
        try:
            self.problem = self._trial(_Assumed(self), directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        if not self.problem:
            return "sandbox"
        if self._wanted == "sandbox":
            raise CallerError("SandboxUnavailable", f"isolation = 'sandbox', but this host refuses it: {self.problem}")
        return "process"


class _Assumed(Isolation):
    """The sandbox taken for granted: what the trial itself runs with."""

    def __init__(self, original: Isolation):
        super().__init__("sandbox", _no_trial, original.network_problem)
        self._mode = "sandbox"
        self.user_namespace = original.user_namespace


def _no_trial(isolation: Isolation, directory: Path) -> str:
    raise AssertionError("the mode is given")
