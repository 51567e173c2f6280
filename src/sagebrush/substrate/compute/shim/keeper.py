"""The keeper: parent of the job. It reaps every process of the job and leaves none behind.

It obeys single bytes on the control pipe: ``g`` start the job, ``t`` SIGTERM to the job's process group, ``k`` end it
now. The end of that pipe means that the shim is gone: the job goes too. It reports lines on the status pipe:
``ready``, ``problem <text>``, ``exit <wait status> <peak resident KiB> <unix us>``.

In a sandbox it is the first process of a PID namespace, so that its own death kills the job. Otherwise it adopts
orphans, and so finds also those descendants that moved to a session of their own.
"""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH103, PTH123, PTH208

from __future__ import annotations

import os
import resource
import select
import time

from . import kernel, network, sandbox, seccomp
from .launchfile import LaunchFile

GO, TERMINATE, KILL = b"g", b"t", b"k"


class Keeper:
    """One run of one job; constructed in the keeper's own process."""

    def __init__(
        self,
        launch: LaunchFile,
        control: int,
        status: int,
        output: int,
        doors: list[int],
        listeners: list[int],
    ):
        self._launch = launch
        self._control = control
        self._status = status
        self._output = output
        self._doors = doors
        self._listeners = listeners
        self._alone = launch.text("isolation") == "sandbox"
        self._job = 0

    def run(self) -> None:
        """Never returns."""
        try:
            self._prepare()
        except OSError as error:
            self._report(f"problem {error}")
            os._exit(1)
        self._report("ready")
        if os.read(self._control, 1) != GO:
            os._exit(0)
        signals = kernel.signal_descriptor(kernel.SIGCHLD)
        self._job = os.fork()
        if self._job == 0:
            os.close(self._control)
            os.close(self._status)
            become_job(self._launch, self._output, self._doors, self._listeners)
        for descriptor in (self._output, *self._doors, *self._listeners):
            os.close(descriptor)
        self._follow(signals)

    def _prepare(self) -> None:
        # When the whole machine runs out of memory, jobs go before the platform. Inherited by the job.
        adjustment = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(adjustment, b"500")
        os.close(adjustment)
        if self._alone:
            kernel.die_with_parent()
            sandbox.enter(self._launch)
        else:
            kernel.adopt_orphans()
            os.makedirs("tmp", exist_ok=True)

    def _follow(self, signals: int) -> None:
        poll = select.poll()
        poll.register(signals, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if signals in ready:
                kernel.take_signals(signals)
                self._reap()
            if self._control in ready:
                self._obey(os.read(self._control, 16))

    def _obey(self, commands: bytes) -> None:
        if not commands:
            self._end_all()
            os._exit(0)
        if KILL in commands:
            self._signal_job(kernel.SIGKILL)
        elif TERMINATE in commands:
            self._signal_job(kernel.SIGTERM)

    def _signal_job(self, signal: int) -> None:
        try:
            os.killpg(self._job, signal)
        except ProcessLookupError:
            # Not yet a group of its own (between fork and setsid): the process itself is there.
            try:
                os.kill(self._job, signal)
            except ProcessLookupError:
                return

    def _reap(self) -> None:
        """Collect the dead; when the job itself is among them, end what it left behind, report and go."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._job:
                ended_us = time.time_ns() // 1000
                self._end_all()
                peak = max(usage.ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
                self._report(f"exit {status} {peak} {ended_us}")
                os._exit(0)

    def _end_all(self) -> None:
        """Kill every process of the job and wait until all are gone."""
        end_descendants(alone=self._alone)

    def _report(self, line: str) -> None:
        os.write(self._status, line.replace("\n", " ").encode("utf-8", "replace") + b"\n")


def end_descendants(*, alone: bool) -> None:
    """Kill and reap every descendant of this process, which is the first of its PID namespace (alone) or adopts."""
    pause = 0.0005
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        for pid in [-1] if alone else descendants(os.getpid()):
            try:
                os.kill(pid, kernel.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue  # Gone by itself, or changed its user: then it is waited for.
        select.select([], [], [], pause)
        pause = min(0.5, pause * 2)


def descendants(root: int) -> list[int]:
    """Pids of all living descendants, by a scan of /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                raw = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(raw[raw.rindex(b")") + 2 :].split()[1])
        children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def become_job(launch: LaunchFile, output: int, doors: list[int], listeners: list[int]) -> None:
    """Turn this process into the user's command. Never returns; 127 and 126 mean what they mean in a shell."""
    arguments = launch.all("arg")
    try:
        os.setsid()
        for door in doors:
            os.write(door, b"0")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _limit(launch)
        _give_up_privileges(launch)
        kernel.die_with_parent()
        kernel.default_signal(kernel.SIGPIPE)
        kernel.default_signal(kernel.SIGXFSZ)
        kernel.block_signals()
        os.umask(0o022)
        os.chdir(launch.text("cwd"))
        env = dict(launch.pairs("env"))
        if listeners:
            network.hand_over(listeners)
            env[network.VARIABLE] = str(len(listeners))
        if launch.number("warm"):
            _start_warm(launch, arguments, env, network.FIRST_DESCRIPTOR + len(listeners))
        _execute(arguments, env)
    except OSError as error:
        where = f": {error.filename}" if error.filename not in (None, arguments[0]) else ""
        os.write(2, f"sagebrush: cannot run {arguments[0]!r}: {error.strerror}{where}\n".encode("utf-8", "replace"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _start_warm(launch: LaunchFile, arguments: list[str], env: dict[str, str], kept: int) -> None:
    """Become the program, where it is one that is loaded; returns where it has to be executed."""
    from . import inner_zygote, warm

    if layer := launch.text("warm_shell"):
        inner_zygote.open_in(layer, env)
        return
    if python := launch.text("warm_script"):
        arguments = [python, *arguments[1:]]
        if inner_zygote.why_cold(arguments, env, env):
            return
    warm.become_python(arguments, env, kept, threads=(os.cpu_count() or 1) if python else 0)


def _execute(arguments: list[str], env: dict[str, str]) -> None:
    """As execvpe does it; that one would import modules, and here the library may already be out of sight."""
    if "/" in arguments[0]:
        os.execve(arguments[0], arguments, env)
    refused: OSError | None = None
    for directory in env.get("PATH", "").split(":"):
        try:
            os.execve(f"{directory or '.'}/{arguments[0]}", arguments, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            refused = error
    raise refused or FileNotFoundError(2, "No such file or directory", arguments[0])


def _limit(launch: LaunchFile) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if size := launch.number("file_size"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    if memory := launch.number("address_space"):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    if processes := launch.number("process_limit"):
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))


def _give_up_privileges(launch: LaunchFile) -> None:
    if launch.text("isolation") != "sandbox":
        return
    # In a user namespace too: what counts there is only what is inside it, but nothing in it needs any.
    kernel.drop_capability_bounds()
    if not launch.number("user_namespace") and (uid := launch.number("uid")):
        gid = launch.number("gid")
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    kernel.no_new_privileges()
    if program := seccomp.program():
        kernel.filter_system_calls(program)
