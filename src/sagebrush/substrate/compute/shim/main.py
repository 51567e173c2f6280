"""The shim's own process: from the locked directory to the durable record of the end."""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH110, PTH123, PTH208

from __future__ import annotations

import fcntl
import os
import select
import time

from . import cgroups, keeper, kernel, launchfile, network, record, sandbox
from .output import NAME, OutputLog

TYPE_CHECKING = False
if TYPE_CHECKING:  # without the module that has it, which takes long to load
    from .disk import Disk

#: The control plane writes ``terminate <grace ms>`` or ``kill`` here, then signals; so a request is never lost.
REQUEST = "request"
_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 18
_F_SETPIPE_SZ = 1031
#: After SIGKILL to the job: how long the keeper may take before it is killed itself.
_KEEPER_GRACE_S = 10.0
#: How long a process that escaped the job (it can, outside a sandbox) may hold the output open.
_LINGER_S = 2.0


def main(directory: str, lock: int) -> None:
    """Run what ``<directory>/launch`` says. ``lock`` is the open, locked lock file of the directory."""
    os.set_inheritable(lock, False)
    # Whatever else the launching process let slip through; the listing's own descriptor is among the names.
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != lock:
            os.closerange(descriptor, descriptor + 1)
    kernel.adopt_orphans()
    kernel.block_signals(kernel.SIGTERM, kernel.SIGINT, kernel.SIGHUP, kernel.SIGQUIT, kernel.SIGUSR1, kernel.SIGCHLD)
    os.umask(0o022)
    os.chdir(directory)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if os.path.exists(record.NAME):
        return
    with open(launchfile.NAME, "rb") as file:
        launch = launchfile.LaunchFile.decode(file.read())
    Shim(launch).run()


class Shim:
    """One attempt of one host of a job."""

    def __init__(self, launch: launchfile.LaunchFile):
        self._launch = launch
        self._directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._log = OutputLog(self._directory)
        self._group = cgroups.Group(launch.pairs("cgroup"), launch.text("cgroup_name"))
        self._signals = kernel.signal_descriptor(kernel.SIGTERM, kernel.SIGUSR1, kernel.SIGCHLD)
        self._keeper = 0
        self._keeper_gone = False
        self._ended: list[int] | None = None
        self._deadline: float | None = None
        self._disk: Disk | None = None
        self._exceeded = ""
        self._killing = False
        self._state: dict[str, object] = {"version": 1, "phase": "running", "isolation": launch.text("isolation")}
        self._state["start"] = launch.text("start")

    def run(self) -> None:
        self._fault("shim.before-state")
        problem = self._start_keeper()
        record.reserve(self._directory)
        self._state |= {
            "boot_id": record.boot_id(),
            "shim_pid": os.getpid(),
            "shim_start": record.start_time(os.getpid()),
            "keeper_pid": self._keeper,
            "keeper_start": record.start_time(self._keeper) if self._keeper else None,
            "started_us": time.time_ns() // 1000,
        }
        record.write(self._directory, self._state)
        self._fault("shim.after-state")
        if problem:
            self._finish(None, problem)
        elif os.path.exists(REQUEST):
            # Stopped before it began: as if the signal had come at once.
            self._finish([kernel.SIGTERM, 0, time.time_ns() // 1000], "")
        else:
            os.write(self._control, keeper.GO)
            self._disk = self._watch_disk()
            self._fault("shim.after-fork")
            self._follow()
            self._finish(self._ended, "" if self._ended else "the job's keeper was killed")

    def _start_keeper(self) -> str:
        """Fork the keeper; '' when it is ready, else what stopped it."""
        try:
            self._group.create(
                self._launch.number("memory"), self._launch.number("cpus_percent"), self._launch.number("pids")
            )
            if self._launch.text("isolation") == "sandbox":
                sandbox.own_namespaces(self._launch)
            doors = self._group.doors()
            listeners = network.listen(self._launch.all("listen"))
        except OSError as error:
            return str(error)
        self._output, output = os.pipe()
        self._status, status = os.pipe()
        control, self._control = os.pipe()
        try:  # noqa: SIM105 - contextlib takes too long to load
            fcntl.fcntl(output, _F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            pass  # A user's pipe quota may be used up; the default size serves.
        self._keeper = os.fork()
        if self._keeper == 0:
            for descriptor in (self._output, self._status, self._control, self._signals, self._directory):
                os.close(descriptor)
            keeper.Keeper(self._launch, control, status, output, doors, listeners).run()
        for descriptor in (output, status, control, *doors, *listeners):
            os.close(descriptor)
        word, _, text = os.read(self._status, 4096).decode("utf-8", "replace").strip().partition(" ")
        return "" if word == "ready" else text or "the job's keeper ended at once"

    def _follow(self) -> None:
        """Stamp output, obey requests, until the job is gone and its output is drained."""
        poll = select.poll()
        for descriptor in (self._output, self._status, self._signals):
            poll.register(descriptor, select.POLLIN)
        drained = False
        while not (drained and (self._ended or self._keeper_gone)):
            ready = {descriptor for descriptor, _ in poll.poll(self._pause())}
            if self._output in ready:
                data = os.read(self._output, _READ_BYTES)
                if data:
                    self._log.feed(data)
                else:
                    drained = True
                    poll.unregister(self._output)
            if self._status in ready:
                self._hear(poll)
            if self._signals in ready:
                self._take_signals()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                if self._ended or self._keeper_gone:
                    return
                self._escalate()
            if self._disk is not None:
                self._look_at_disk()

    def _pause(self) -> float | None:
        """Milliseconds until something is due although nobody says so."""
        pauses = [] if self._deadline is None else [max(0.0, self._deadline - time.monotonic())]
        pauses += [] if self._disk is None else [self._disk.pause()]
        # Rounded up: a poll that ends early would be repeated at once.
        return min(pauses) * 1000 + 1 if pauses else None

    def _watch_disk(self) -> Disk | None:
        limit, reserve = self._launch.number("disk"), self._launch.number("disk_reserve")
        if not limit and not reserve:
            return None
        from .disk import Disk

        return Disk([self._launch.text("opt_ml"), "tmp"], NAME, self._keeper, limit=limit, reserve=reserve)

    def _look_at_disk(self) -> None:
        if self._ended or self._keeper_gone or self._disk is None:
            self._disk = None
            return
        self._exceeded = self._disk.look()
        if self._exceeded:
            # At once: whoever fills a disk is not asked to write what is left.
            self._state["disk_used_bytes"] = self._disk.used
            self._disk = None
            self._escalate()

    def _hear(self, poll: select.poll) -> None:
        line = os.read(self._status, 4096).decode()
        if line.startswith("exit "):
            self._ended = [int(word) for word in line.split()[1:]]
            self._deadline = time.monotonic() + _LINGER_S
        if not line:
            poll.unregister(self._status)

    def _take_signals(self) -> None:
        taken = kernel.take_signals(self._signals)
        if kernel.SIGCHLD in taken:
            self._reap()
        if taken & {kernel.SIGTERM, kernel.SIGUSR1}:
            self._obey_request()

    def _obey_request(self) -> None:
        try:
            with open(REQUEST) as file:
                verb, _, grace = file.read().partition(" ")
        except FileNotFoundError:
            # The machine is going down, or an operator used kill(1).
            verb, grace = "terminate", ""
        if self._ended or self._keeper_gone:
            return
        if verb == "kill":
            self._escalate()
        elif self._deadline is None:
            milliseconds = int(grace or self._launch.number("grace_ms"))
            self._deadline = time.monotonic() + milliseconds / 1000
            self._command(keeper.TERMINATE)

    def _escalate(self) -> None:
        if self._killing and self._deadline is not None and time.monotonic() >= self._deadline:
            os.kill(self._keeper, kernel.SIGKILL)
        if not self._killing:
            self._command(keeper.KILL)
        self._killing = True
        self._deadline = time.monotonic() + _KEEPER_GRACE_S

    def _command(self, command: bytes) -> None:
        try:
            os.write(self._control, command)
        except BrokenPipeError:
            return  # The keeper is just ending.

    def _reap(self) -> None:
        """The keeper ended; whatever it could not take along has become this process's child."""
        try:
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                if pid == self._keeper:
                    self._keeper_gone = True
                    keeper.end_descendants(alone=False)
                    self._deadline = time.monotonic() + _LINGER_S
        except ChildProcessError:
            return

    def _finish(self, ended: list[int] | None, problem: str) -> None:
        """Write the record of the end; keep trying, because without it nobody may learn of the end."""
        self._log.close()
        status, peak_kib, ended_us = ended or [0, 0, time.time_ns() // 1000]
        signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) and ended else None
        if ended is None and self._keeper_gone:
            signal = kernel.SIGKILL
        oom = bool(self._group.oom_kills()) and code != 0
        self._state |= {
            "phase": "exited",
            "exit_code": code,
            "signal": signal,
            "crashed": signal in kernel.CORE_SIGNALS,
            "oom_killed": oom,
            "peak_memory_bytes": self._group.peak_memory() or peak_kib * 1024,
            # What a brief job printed may be read only after its end.
            "first_output_us": None if self._log.first_us is None else min(self._log.first_us, ended_us),
            "ended_us": ended_us,
            "lost_output_bytes": self._log.lost_bytes,
            "output_problem": self._log.problem,
            "lost_output_tail": self._log.lost_tail.decode("utf-8", "replace"),
            "problem": problem,
            # Only where that ended it: it may have ended by itself at the same instant.
            "disk_exceeded": self._exceeded if signal == kernel.SIGKILL else "",
        }
        self._fault("shim.before-exit-record")
        while True:
            try:
                record.write_last(self._directory, self._state)
                break
            except OSError as error:
                os.write(2, f"the record of the end: {error}\n".encode())
                time.sleep(1.0)
        self._group.remove()

    def _fault(self, point: str) -> None:
        """Die here when a test asks for it (the platform's fault points do not reach into this program)."""
        if point in self._launch.all("fault"):
            os.kill(os.getpid(), kernel.SIGKILL)
