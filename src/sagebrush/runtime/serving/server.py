"""The parent of a replica's workers: prepares what they need, starts one per socket, replaces those that end.

Single-threaded, and free of user code: what it imports before it forks, its workers share.
"""

from __future__ import annotations

import importlib
import mmap
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sagebrush.runtime import outcome, script, unpacking
from sagebrush.runtime.directories import Directories
from sagebrush.runtime.serving import handlers, own_server
from sagebrush.runtime.serving.worker import Stamp, Worker

_FIRST_DESCRIPTOR = 3
_SLOT_BYTES = 64
_LOOK_SECONDS = 0.25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
#: So many workers ended one after the other without an answer: something is wrong for good.
_MOST_DEATHS = 5
_STOP_SECONDS = 30.0
_TIMEOUT_SECONDS = 60.0
_IMPORTS = {"xgboost": ("xgboost",), "sklearn": ("sklearn", "numpy", "joblib")}


@dataclass
class Slot:
    """One socket and the worker that serves it now. ``ending`` tells how the last one ended."""

    number: int
    listener: socket.socket
    stamp: Stamp
    pid: int = 0
    deaths: int = 0
    answered: int = 0
    start_at: float = 0.0
    ending: str = ""


def main() -> int:
    """Serve until SIGTERM (0), or until it is clear that this model cannot serve (1, with the reason left)."""
    directories = Directories.of(os.environ)
    try:
        prepared = prepare(directories)
        count = int(os.environ["SAGEBRUSH_LISTEN_FDS"])
        listeners = [socket.socket(fileno=_FIRST_DESCRIPTOR + i) for i in range(count)]
        if own_server.wanted(prepared.code):
            return own_server.run(prepared.code, listeners[0], directories)
        return Server(directories, prepared, listeners).run()
    except Exception as error:
        return _fail(directories, error)


def _fail(directories: Directories, error: BaseException) -> int:
    outcome.write_failure(directories.output, outcome.describe(error))
    if isinstance(error, outcome.UserError):
        print(f"ClientError: {error}", file=sys.stderr, flush=True)
    else:
        outcome.print_traceback(error)
    return 1


@dataclass(frozen=True)
class Prepared:
    """What is unpacked: the model's directory and that of the user's code."""

    model: str
    code: str


def prepare(directories: Directories) -> Prepared:
    """Unpack what was given, install what the code asks for. Raises UserError."""
    most = int(os.environ.get("SAGEBRUSH_MODEL_MAX_BYTES", str(1 << 62)))
    if archive := os.environ.get("SAGEBRUSH_MODEL_ARCHIVE"):
        unpacking.unpack(archive, directories.model, most)
    if archive := os.environ.get("SAGEBRUSH_CODE_ARCHIVE"):
        unpacking.unpack(archive, directories.code, most)
        code = directories.code
    else:
        code = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if not code or not Path(code).is_dir():
            code = f"{directories.model}/code"
    if Path(code).is_dir():
        script.install_requirements(code)
    return Prepared(directories.model, code)


class Server:
    """The workers of a replica."""

    def __init__(self, directories: Directories, prepared: Prepared, listeners: list[socket.socket]):
        self._directories = directories
        self._prepared = prepared
        shared = memoryview(mmap.mmap(-1, _SLOT_BYTES * len(listeners)))
        self._slots = [
            Slot(i, listener, Stamp(shared[i * _SLOT_BYTES : i * _SLOT_BYTES + 16]))
            for i, listener in enumerate(listeners)
        ]
        self._timeout_ns = int(_seconds("SAGEMAKER_MODEL_SERVER_TIMEOUT", _TIMEOUT_SECONDS) * 1e9)
        self._stopping = False
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        _share_processors(len(self._slots))
        for name in _IMPORTS.get(os.environ.get("SAGEBRUSH_FRAMEWORK", ""), ()):
            importlib.import_module(name)
        signal.set_wakeup_fd(self._waker)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGCHLD, _heard)
        while not self._stopping:
            for slot in self._slots:
                if not slot.pid and time.monotonic() >= slot.start_at:
                    self._start(slot)
            self._wait()
            for slot in self._slots:
                self._look(slot)
                if slot.deaths >= _MOST_DEATHS:
                    return self._give_up(slot)
        return self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _wait(self) -> None:
        if select.select([self._wake], [], [], _LOOK_SECONDS)[0]:
            os.read(self._wake, 4096)

    def _start(self, slot: Slot) -> None:
        slot.stamp.clear()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            slot.pid, slot.answered = pid, slot.stamp.answered
            return
        code = 1
        try:
            code = self._serve(slot)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException as error:
            code = _fail(self._directories, error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _serve(self, slot: Slot) -> int:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in self._slots:
            if other is not slot:
                other.listener.close()
        program = os.environ.get("SAGEMAKER_PROGRAM", "")
        module = handlers.load_module(self._prepared.code, program)
        accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
        defaults = handlers.defaults_of(os.environ.get("SAGEBRUSH_FRAMEWORK", ""))
        made = handlers.Handlers(module, defaults, self._prepared.model, accept)
        Worker(slot.listener, made, slot.stamp).run()
        return 0

    def _look(self, slot: Slot) -> None:
        """Whether the worker has ended, or has been answering for too long."""
        if not slot.pid:
            return
        pid, status = os.waitpid(slot.pid, os.WNOHANG)
        if pid:
            self._ended(slot, os.waitstatus_to_exitcode(status))
            return
        since = slot.stamp.busy_since_ns
        if since and time.monotonic_ns() - since > self._timeout_ns:
            seconds = self._timeout_ns / 1e9
            print(f"[sagebrush] worker {slot.number} has been answering for {seconds:g} s: it is ended.", flush=True)
            os.kill(slot.pid, signal.SIGKILL)

    def _ended(self, slot: Slot, code: int) -> None:
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        print(f"[sagebrush] worker {slot.number} (pid {slot.pid}) ended {how}; another one is started.", flush=True)
        slot.ending = how
        slot.deaths = 1 if slot.stamp.answered > slot.answered else slot.deaths + 1
        slot.pid = 0
        pause = 0.0 if slot.deaths <= 1 else min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (slot.deaths - 2))
        slot.start_at = time.monotonic() + pause
        if code == 1 and not slot.stamp.answered:
            slot.deaths = _MOST_DEATHS  # It could not load its model: another try would end the same way.

    def _give_up(self, slot: Slot) -> int:
        told = f"A worker ended {slot.deaths} times in a row without an answer, lastly {slot.ending}; see the log."
        outcome.write_failure(self._directories.output, told)
        self._end()
        return 1

    def _end(self) -> int:
        """SIGTERM to the workers: each ends after the request in hand."""
        for slot in self._slots:
            if slot.pid:
                os.kill(slot.pid, signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        for slot in self._slots:
            while slot.pid and not os.waitpid(slot.pid, os.WNOHANG)[0]:
                if time.monotonic() > until:
                    os.kill(slot.pid, signal.SIGKILL)
                time.sleep(0.01)
        return 0


def _heard(number: int, frame: FrameType | None) -> None:
    """A signal handler is all it takes to wake the parent."""


def _seconds(variable: str, default: float) -> float:
    try:
        return float(os.environ[variable])
    except (KeyError, ValueError):
        return default


def _share_processors(workers: int) -> None:
    """Threads of numerical libraries: together the workers use what the replica has."""
    cpus = os.environ.get("SM_NUM_CPUS", "")
    threads = max(1, (int(cpus) if cpus.isdigit() else len(os.sched_getaffinity(0))) // workers)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, str(threads))
