"""The inner zygote: for jobs whose own command is not Python (a shell script, say) but that will run Python soon.

Forked from the job's process before it becomes the user's command, so it has everything loaded and is exactly where
the job is: its namespaces, user, limits, groups. It listens at ``warm`` in the job's layer, to which the job's
``python3`` (:mod:`shim.python3`) connects. For each connection it forks an attendant; that one forks the program,
passes on the signals that come through the connection, and answers with how the program ended. A launcher that is
gone takes its program along.
"""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH101, PTH108, PTH110, PTH120, PTH123, PTH208

from __future__ import annotations

import marshal
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from typing import Any

from . import kernel, python3, warm

SOCKET = "warm"
_WAITING = 128
_LONGEST = 1 << 24
_LAST_DESCRIPTOR = 1 << 20
_PAUSE_S = 0.01
_SUFFIXES = ("py", "pyc", "so")


def open_in(layer: str, env: dict[str, str]) -> None:
    """Fork it; it is there for the job's first breath. ``env``: the variables that the job starts with.

    Where it cannot be, every ``python3`` of the job starts cold.
    """
    try:
        listener = _listen(layer)
        between = os.fork()
    except OSError:
        return
    if between == 0:
        # The user's command must not find a child that it has not started: the keeper adopts it.
        between = os.getpid()
        if os.fork() == 0:
            while os.getppid() == between:
                os.sched_yield()
            try:
                _serve(listener, env)
            finally:
                os._exit(1)
        os._exit(0)
    listener.close()
    os.waitpid(between, 0)


def _listen(layer: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    here = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        # A socket's address has 107 bytes, a path may have more.
        os.chdir(layer)
        if os.path.lexists(SOCKET):
            os.unlink(SOCKET)
        listener.bind(SOCKET)
        os.chmod(SOCKET, 0o600)
        listener.listen(_WAITING)
    except OSError:
        listener.close()
        raise
    finally:
        os.fchdir(here)
        os.close(here)
    return listener


def _serve(listener: socket.socket, env: dict[str, str]) -> None:
    kernel.die_with_parent()
    # What is meant for the job's processes is not meant for this one.
    os.setpgid(0, 0)
    kernel.show_to_peers()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Attendants are nobody's to wait for.
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    os.dup2(listener.detach(), 3, inheritable=False)
    os.closerange(4, _LAST_DESCRIPTOR)
    listener = socket.socket(fileno=3)
    while True:
        try:
            door, _ = listener.accept()
        except OSError:  # Out of descriptors or memory for now; whoever waits is not lost.
            time.sleep(_PAUSE_S)
            continue
        try:
            attendant = os.fork()
        except OSError:  # The job's limit of processes: this program starts cold, those that run go on.
            door.close()
            continue
        if attendant == 0:
            listener.close()
            try:
                _attend(door, env)
            finally:
                os._exit(1)
        door.close()


def _attend(door: socket.socket, env: dict[str, str]) -> None:
    """One program. Says nothing when it has to start cold: the end of the connection tells."""
    kernel.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, descriptors = _read(door)
    os.fchdir(descriptors[3])
    command = [request["program"], *request["arguments"]]
    if why_cold(command, request["environ"], env):
        return
    try:
        program = os.fork()
    except OSError:
        return
    if program == 0:
        door.close()
        _become(request, command, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    door.sendall(python3.STARTED)
    door.sendall(_follow(program, door).to_bytes(8, "little"))


def _read(door: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The request and its descriptors: standard input, output, errors, working directory."""
    head, descriptors, _, _ = socket.recv_fds(door, 8, 4)
    length = int.from_bytes(head, "little")
    if len(head) != 8 or len(descriptors) != 4 or length > _LONGEST:
        raise ValueError("not a request")
    received = bytearray()
    while len(received) < length:
        more = door.recv(length - len(received))
        if not more:
            raise ValueError("a request that breaks off")
        received += more
    # From the job's own user, whose code this process runs anyhow.
    return marshal.loads(received), descriptors


def _follow(program: int, door: socket.socket) -> int:
    """Pass signals on until it has ended; its wait status."""
    poll = select.poll()
    ended = os.pidfd_open(program)
    poll.register(ended, select.POLLIN)
    poll.register(door, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if ended in ready:
            return os.waitpid(program, 0)[1]
        numbers = door.recv(64)
        for number in numbers or [signal.SIGKILL]:
            signal.pidfd_send_signal(ended, number)
        if not numbers:
            poll.unregister(door)


def why_cold(command: list[str], asked: dict[str, str], env: dict[str, str]) -> str:
    """Why ``<python> ...`` with the variables ``asked``, in a job that had ``env``, must start cold; else ''."""
    changed = sorted(
        name
        for name in asked.keys() | env.keys()
        if name.startswith(warm.READ_AT_LOAD) and name not in warm.READ_LATER and asked.get(name) != env.get(name)
    )
    if changed:
        return f"{changed[0]} has been changed"
    rest = python3.without_options(command[1:])
    if rest[0] == "-m":
        first = "."
    else:
        first = os.path.dirname(os.path.realpath(rest[0]))
        if not _is_source(rest[0]):
            return f"{rest[0]} is not a file of Python source"
    own = {path for path in sys.path if path}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    layer = f"{os.path.dirname(os.path.dirname(command[0]))}/lib/{version}/site-packages"
    given = [path for path in asked.get("PYTHONPATH", "").split(":") if path and path not in own]
    hidden = shadowed([first, *given, layer])
    return f"{hidden[0]} is not the one that is loaded" if hidden else ""


def _is_source(path: str) -> bool:
    """Not so: folders, archives, compiled files, what is not there; an interpreter knows what to do with them."""
    try:
        with open(path, "rb") as file:
            return b"\0" not in file.read()
    except OSError:
        return False


def shadowed(paths: list[str]) -> list[str]:
    """Modules that are loaded, and that these directories, which would be searched first, have too."""
    found = set()
    for path in paths:
        try:
            names = os.listdir(path)
        except OSError:
            continue
        for name in names:
            module, dot, suffix = name.partition(".")
            if module in sys.modules and (
                suffix.endswith(_SUFFIXES) if dot else os.path.exists(f"{path}/{name}/__init__.py")
            ):
                found.add(module)
    return sorted(found - {"__main__"})


def _become(request: dict[str, Any], command: list[str], descriptors: list[int]) -> None:
    """Turn this process into the program. Never returns."""
    try:
        # A group of its own: the launcher is in the one that signals are sent to, and passes them on.
        os.setpgid(0, 0)
        for number, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, number)
        os.umask(request["umask"])
        for number, soft, hard in request["limits"]:
            resource.setrlimit(number, (soft, hard))
        os.sched_setaffinity(0, request["affinity"])
        if request["nice"] != os.getpriority(os.PRIO_PROCESS, 0):
            os.setpriority(os.PRIO_PROCESS, 0, request["nice"])
        for number in request["ignored"]:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
        kernel.die_with_parent()
        warm.become_python(command, request["environ"], 3, threads=os.cpu_count() or 1)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)
