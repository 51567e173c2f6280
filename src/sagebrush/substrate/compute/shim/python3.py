"""The ``python3`` that a job finds first where its own command is not Python: it hands over to the inner zygote.

A copy of this file lies in the job's layer as ``bin/python3``, run by the environment's interpreter with ``-I -S``.
What a script needs (arguments, environment, descriptors, working directory, limits) goes through the socket ``warm``
beside ``bin``; a process forked there runs the script, while this one passes signals on and ends as that one ends.
Whatever does not fit starts cold, by one exec: options, ``-c``, more descriptors, no socket.
"""

# It runs before everything that it is to make fast: only what is built in, or nearly so.
# ruff: noqa: PTH100, PTH120, PTH208

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import sys

VARIABLE = "SAGEBRUSH_WARM_START"
#: What the attendant answers first; then, when the program has ended, its wait status in eight bytes.
STARTED = b"started!"
#: Kinds of resource limits (getrlimit(2)).
_LIMITS = 16
#: Not to be caught, or about this very process.
_NEVER_PASSED_ON = {
    *(_signal.SIGKILL, _signal.SIGSTOP, _signal.SIGCHLD, _signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU),
    *(_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGABRT, _signal.SIGTRAP),
}


def main() -> None:
    """Run ``sys.argv[1:]`` warm, else cold. Does not return."""
    heard: list[int] = []
    arguments = sys.argv[1:]
    if is_script(arguments):
        door = _open_door(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        if door is not None:
            _attend(door, arguments, heard)
    for number in heard:
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)
    environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
    os.execve(sys.executable, [os.path.abspath(__file__), *arguments], environ)


def is_script(arguments: list[str]) -> bool:
    """Whether it is ``[-u] <script> ...`` or ``[-u] -m <module> ...``; pip is to see nothing that is loaded."""
    rest = without_options(arguments)
    if rest[:1] == ["-m"]:
        return len(rest) > 1 and rest[1] not in ("pip", "venv", "ensurepip")
    return bool(rest) and not rest[0].startswith("-")


def without_options(arguments: list[str]) -> list[str]:
    """Without ``-u``, which is how warm programs run anyhow."""
    start = 0
    while arguments[start : start + 1] == ["-u"]:
        start += 1
    return arguments[start:]


def _open_door(layer: str) -> _socket.socket | None:
    """A connection to the inner zygote, where there is one."""
    door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        # Nothing but the three standard ones, this socket, and the listing itself.
        if set(map(int, os.listdir("/proc/self/fd"))) - {0, 1, 2, door.fileno(), door.fileno() + 1}:
            return None
        here = os.open(".", os.O_PATH | os.O_CLOEXEC)
        # A socket's address has 107 bytes, a path may have more.
        os.chdir(layer)
        try:
            door.connect("warm")
        finally:
            os.fchdir(here)
            os.close(here)
    except OSError:
        return None
    return door


def _attend(door: _socket.socket, arguments: list[str], heard: list[int]) -> None:
    """Have the program run, and end as it does; returns, with the signals ``heard``, when it has to start cold."""

    def pass_on(number: int, frame: object) -> None:
        heard.append(number)
        try:
            door.send(bytes([number]))
        except OSError:
            return  # It has just ended.

    ignored = []
    for number in range(1, _signal.NSIG):
        if number in _NEVER_PASSED_ON:
            continue
        try:
            now = _signal.getsignal(number)
            if now == _signal.SIG_IGN:
                ignored.append(number)
            elif now is not None:
                _signal.signal(number, pass_on)
        except (OSError, ValueError):
            continue  # The C library keeps two to itself.
    try:
        _ask(door, arguments, ignored)
        answer = _receive(door, len(STARTED))
    except OSError:
        answer = b""
    if answer == STARTED:
        _end_as(int.from_bytes(_receive(door, 8) or bytes([_signal.SIGKILL]), "little"))


def _ask(door: _socket.socket, arguments: list[str], ignored: list[int]) -> None:
    import resource

    mask = os.umask(0o022)
    os.umask(mask)
    request = marshal.dumps(
        {
            "program": os.path.abspath(__file__),
            "arguments": arguments,
            "environ": dict(os.environ),
            "umask": mask,
            "ignored": ignored,
            "blocked": [int(number) for number in _signal.pthread_sigmask(_signal.SIG_BLOCK, [])],
            "affinity": sorted(os.sched_getaffinity(0)),
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "limits": [[number, *resource.getrlimit(number)] for number in range(_LIMITS)],
        }
    )
    here = os.open(".", os.O_PATH | os.O_CLOEXEC)
    descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2, here))
    head = len(request).to_bytes(8, "little")
    door.sendmsg([head], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    os.close(here)
    door.sendall(request)


def _receive(door: _socket.socket, count: int) -> bytes:
    """As many bytes, or none at the end."""
    received = b""
    while len(received) < count:
        more = door.recv(count - len(received))
        if not more:
            return b""
        received += more
    return received


def _end_as(status: int) -> None:
    """End with a wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (_signal.SIGKILL, _signal.SIGSTOP):
            _signal.signal(number, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main()
