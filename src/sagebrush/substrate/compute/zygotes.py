"""Zygotes: one warm interpreter for each environment in use, which forks the shims of its jobs.

The first job of an environment starts cold, and a zygote after it, in the background. One that forks nothing for a
while is ended. A zygote dies with this process (it reads the end of its socket); the shims that it has forked go on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import threading
import time
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sagebrush.substrate.compute.environments import layers, preloads
from sagebrush.substrate.compute.shim import python3, warm, zygote
from sagebrush.substrate.compute.specification import Environment, LaunchSpec

_log = logging.getLogger(__name__)
_PROGRAM = Path(zygote.__file__)
#: A fork takes milliseconds; a machine that is that slow has better be asked the other way.
_ANSWER_SECONDS = 10.0
_START_SECONDS = 300.0
_NICE = 10
#: What a job's own command is: our runtime, a Python program of the user's, or something that may run Python later.
RUNTIME, SCRIPT, SHELL = "runtime", "script", "shell"


class ZygoteGone(Exception):
    """The zygote did not answer; it has been ended. Whether it had forked, the directory's lock tells."""


@dataclass(slots=True)
class Zygote:
    """One of them, and how to ask it. ``problem`` says why it could not be made."""

    process: subprocess.Popen[bytes] | None
    socket: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)
    used: float = 0.0
    memory_kib: int = 0
    problem: str = ""
    ready: bool = False


class Zygotes:
    """Those of this process. ``idle_seconds``: how long one is kept that forks nothing; 0: none are started."""

    def __init__(self, idle_seconds: float):
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._zygotes: dict[Path, Zygote] = {}
        self._janitor: threading.Timer | None = None
        self._closed = False

    def find(self, spec: LaunchSpec, opt_ml: str) -> tuple[Zygote | None, str]:
        """The zygote that may fork this job, else why it starts cold. ``opt_ml``: as the job sees it."""
        why = self._unfit(spec, opt_ml)
        if why:
            return None, why
        with self._lock:
            found = self._zygotes.get(spec.environment.prefix)
            if found is None and not self._closed:
                self._begin(spec.environment)
        if found is None:
            return None, "the first of its environment for a while; the next ones start warm"
        if found.problem:
            return None, found.problem
        if not found.ready:
            return None, "the warm interpreter of its environment is not ready yet"
        return found, ""

    def fork(self, found: Zygote, directory: Path, lock: int, log: int) -> int:
        """Have a shim forked for the directory, whose locked descriptor is ``lock``; its pid. Raises ZygoteGone."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [lock, log]))]
        with found.lock:
            found.used = time.monotonic()
            try:
                found.socket.sendmsg([os.fsencode(directory.absolute())], ancillary)
                answer = found.socket.recv(64)
                return int(answer)
            except (OSError, ValueError) as error:
                self._end(found)
                raise ZygoteGone(str(error) or "it has ended") from None

    def memory_bytes(self) -> dict[str, int]:
        """Resident memory of each zygote that is ready, by environment."""
        with self._lock:
            return {path.name: z.memory_kib * 1024 for path, z in self._zygotes.items() if z.ready}

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            self._closed = True
            zygotes = list(self._zygotes.values())
            if self._janitor is not None:
                self._janitor.cancel()
        for each in zygotes:
            self._end(each)

    def _unfit(self, spec: LaunchSpec, opt_ml: str) -> str:
        if not self._idle_seconds:
            return "warm starts are switched off"
        way = way_of(spec, opt_ml)
        if not preloads.modules_of(spec.environment.name) or (way == RUNTIME and spec.environment.overlays):
            return "its packages are not those of a warm interpreter"
        if way != RUNTIME and spec.listen:
            return "it is a server of its own"
        if way == SCRIPT and not python3.is_script(list(spec.argv[1:])):
            return "it starts an interpreter of its own"
        if way == SCRIPT and "PATH" in spec.env:
            return "it sets PATH, which may lead to another interpreter"
        named = sorted(name for name in spec.env if name.startswith(warm.READ_AT_LOAD))
        return f"it sets {named[0]}, which is read when an interpreter starts" if named else ""

    def _begin(self, environment: Environment) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        modules = ",".join(preloads.modules_of(environment.name))
        command = [str(environment.python), "-X", "utf8", str(_PROGRAM), str(theirs.fileno()), modules]
        made = self._zygotes[environment.prefix] = Zygote(None, ours, used=time.monotonic())
        self._look_after()
        try:
            made.process = subprocess.Popen(
                command,
                env=_environ(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            made.problem = f"no warm interpreter of its environment could be made: {error}"
            return
        finally:
            theirs.close()
        name = f"zygote-{environment.name}"
        arguments = (made, made.process, environment.name)
        threading.Thread(target=self._await, args=arguments, name=name, daemon=True).start()

    def _await(self, made: Zygote, process: subprocess.Popen[bytes], name: str) -> None:
        """Hear whether it is ready. It yields to jobs meanwhile: it is for those to come."""
        try:
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
            made.socket.settimeout(_START_SECONDS)
            word, _, text = made.socket.recv(8192).decode("utf-8", "replace").partition(" ")
            if word == "ready":
                os.setpriority(os.PRIO_PROCESS, process.pid, 0)
        except OSError as error:
            word, text = "problem", str(error)
        if word == "ready":
            made.socket.settimeout(_ANSWER_SECONDS)
            made.memory_kib, made.used, made.ready = int(text), time.monotonic(), True
            return
        made.problem = f"no warm interpreter of its environment could be made: {text or 'it has ended'}"
        _log.warning("the environment %s has no warm starts: %s", name, made.problem)
        self._end(made, forget=False)

    def _end(self, ended: Zygote, *, forget: bool = True) -> None:
        with self._lock:
            if forget:
                self._zygotes = {path: z for path, z in self._zygotes.items() if z is not ended}
        ended.ready = False
        ended.socket.close()
        if ended.process is not None:
            ended.process.kill()
            ended.process.wait()

    def _look_after(self) -> None:
        """Come back, while there are any, to end those that nobody needs."""
        self._janitor = threading.Timer(max(1.0, self._idle_seconds / 4), self._tidy)
        self._janitor.daemon = True
        self._janitor.start()

    def _tidy(self) -> None:
        now = time.monotonic()
        with self._lock:
            idle = [z for z in self._zygotes.values() if now - z.used > self._idle_seconds]
        for each in idle:
            with each.lock:
                self._end(each)
        with self._lock:
            if self._zygotes and not self._closed:
                self._look_after()


def way_of(spec: LaunchSpec, opt_ml: str) -> str:
    """How a warm job would run: RUNTIME, in which nothing can be in the way, SCRIPT, where that is looked at, SHELL."""
    if spec.argv[:2] == (layers.python_of(opt_ml), "-m"):
        return RUNTIME
    program = spec.argv[0].removeprefix(f"{opt_ml}/{layers.OWN}/bin/")
    return SCRIPT if program in layers.NAMES else SHELL


def zygotes_of(platform: int) -> dict[int, str]:
    """The zygotes that the process ``platform`` has started: pid -> directory name of the environment."""
    found = {}
    for task in Path(f"/proc/{platform}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in task.read_text().split():
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if os.fsencode(_PROGRAM) in command:
                    found[int(pid)] = Path(os.fsdecode(command[0])).parent.parent.name
    return found


def _environ(environment: Environment) -> Mapping[str, str]:
    """One thread for each library, so that there is none to be lost in a fork."""
    return {
        "PATH": f"{environment.prefix}/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/tmp",
        "PYTHONPATH": ":".join(map(str, environment.python_path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }
