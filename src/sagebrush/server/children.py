"""The supervisor's children: started, watched, restarted with growing pauses, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.processes import ProcessIdentity

_SECOND: Final = 1_000_000
#: A process that ran this long had started well: its next crash is restarted at once again.
_SETTLED_US: Final = 60 * _SECOND
_LONGEST_PAUSE_US: Final = 30 * _SECOND


def _without_fault(environ: Mapping[str, str]) -> dict[str, str]:
    """A fault point kills once: the process that takes over must get past it."""
    return {name: value for name, value in environ.items() if name != faultpoints.VARIABLE}


@dataclass(slots=True)
class Child:
    """One process of the platform. Times are monotonic microseconds."""

    name: str
    module: str
    arguments: tuple[str, ...]
    inherited: tuple[int, ...]
    directory: Path
    log_file: Path
    environ: Mapping[str, str]
    restarts: int = 0
    last_exit: int | None = None
    identity: ProcessIdentity | None = None
    start_at_us: int | None = 0
    _started_us: int = 0
    _crashes: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, clock: Clock) -> None:
        """Start the process; its output goes to the log file."""
        # -P: the working directory (the data directory) is no place to import from.
        command = [sys.executable, "-P", "-m", self.module, *self.arguments]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ if self.restarts == 0 else _without_fault(self.environ),
                pass_fds=self.inherited,
                start_new_session=True,
            )
        self.identity = ProcessIdentity.of(self._process.pid)
        self.start_at_us = None
        self._started_us = clock.monotonic_us()

    def reap(self, clock: Clock) -> bool:
        """Notice the process's end and plan its restart; True when it ended just now."""
        if self._process is None or self._process.poll() is None:
            return False
        self.last_exit = self._process.returncode
        self._process = self.identity = None
        now = clock.monotonic_us()
        self._crashes = 1 if now - self._started_us > _SETTLED_US else self._crashes + 1
        pause = 0 if self._crashes == 1 else min(_LONGEST_PAUSE_US, (_SECOND // 2) << (self._crashes - 2))
        self.start_at_us = now + pause
        self.restarts += 1
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if the process runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def wait(self, deadline_us: int, clock: Clock) -> None:
        """Wait for the end; SIGKILL at ``deadline_us``."""
        if self._process is None:
            return
        seconds = max(0.0, (deadline_us - clock.monotonic_us()) / _SECOND)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.last_exit = self._process.returncode
        self._process = self.identity = None

    def last_words(self) -> str:
        """The last line of its log: why it died, most often."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - 4096))
                lines = log.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
