"""One socket of a replica and the worker that serves it: how it is, how it ended, when the next one starts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time

from sagebrush.runtime.serving.stamp import Stamp

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_MOST_REPORTED = 1 << 16


class Place:
    """``deaths`` counts workers that ended in a row without an answer; ``reported`` is why the last could not start."""

    def __init__(self, number: int, listener: socket.socket, stamp: Stamp):
        self.number = number
        self.listener = listener
        self.stamp = stamp
        self.pid = 0
        self.start_at = 0.0
        self.pause = 0.0
        self.deaths = 0
        self._was_ready = False
        self.ended_pid = 0
        self.reported = self.reported_log = ""
        self._report = -1
        self._began = 0.0
        self._answered = 0
        self._killed_for = ""
        self._ending = ""

    def started(self, pid: int, report: int) -> None:
        """A worker is there; it may leave a report in this pipe."""
        self.pid, self._report = pid, report
        self._began, self._killed_for = time.monotonic(), ""
        self._answered = self.stamp.answered

    @property
    def ever_ready(self) -> bool:
        """Whether some worker here could predict at some time."""
        self._was_ready = self._was_ready or self.stamp.ready
        return self._was_ready

    def look(self, timeout: float, start_timeout: float) -> str | None:
        """How the worker has ended; None while it is there. It is killed when it takes longer than it may."""
        if self.is_there():
            self._keep_time(timeout, start_timeout)
            return None
        return self._ending

    def is_there(self) -> bool:
        """Whether the worker goes on; its end is noted."""
        if not self.pid:
            return False
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._ended(os.waitstatus_to_exitcode(status))
        return not pid

    def kill(self, number: int) -> None:
        if self.pid:
            os.kill(self.pid, number)

    def _keep_time(self, timeout: float, start_timeout: float) -> None:
        if self._killed_for:
            return
        since = self.stamp.busy_since_ns
        if since and time.monotonic_ns() - since > timeout * 1e9:
            self._killed_for = f"a request took longer than {timeout:g} s"
        elif not self.stamp.ready and time.monotonic() - self._began > start_timeout:
            self._killed_for = f"the model was not loaded within {start_timeout:g} s"
        if self._killed_for:
            self.kill(signal.SIGKILL)

    def _ended(self, code: int) -> None:
        how = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with exit code {code}"
        if code == -signal.SIGKILL and not self._killed_for:
            how += ", as the kernel does when memory runs out"
        if self._killed_for:
            how += f", because {self._killed_for}"
        elif not self.stamp.ready:
            how += " while it loaded the model"
        self._ending = how
        self.ended_pid = self.pid
        self._read_report()
        # A request that takes too long says nothing against the next one.
        self._was_ready = self.ever_ready
        self.deaths = 0 if self.stamp.answered > self._answered else self.deaths
        self.deaths += not (self._killed_for and self.stamp.ready)
        self.pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self.deaths - 2)) if self.deaths > 1 else 0.0
        self.start_at = time.monotonic() + self.pause
        self.pid = 0

    def _read_report(self) -> None:
        content = b""
        with contextlib.suppress(BlockingIOError):
            content = os.read(self._report, _MOST_REPORTED)
        os.close(self._report)
        try:
            self.reported, self.reported_log = json.loads(content) if content else ("", "")
        except ValueError:
            self.reported = self.reported_log = content.decode("utf-8", "replace")
