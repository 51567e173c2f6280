"""What a job gets of the network: sockets that it inherits listening, and a loopback of its own.

Hosts of a job that are to have one loopback together name the same file: in it stand the shims that are in the network
already. Whoever comes first makes it, the others join any that still lives; when all have ended it is gone.

The sockets lie in the attempt's directory, where a sandboxed job does not reach, and only the job's processes hold
them: who connects before the job accepts waits in the backlog, who connects after its end is refused.
"""

# pathlib takes longer to load than all of the shim; the sockets' own half millisecond is for those who use them.
# ruff: noqa: PTH108, PTH115

from __future__ import annotations

import fcntl
import os

from . import kernel, record

TYPE_CHECKING = False
if TYPE_CHECKING:  # it takes long to load
    from collections.abc import Callable

#: Tells the job how many descriptors, from the first one on, are its listening sockets.
VARIABLE = "SAGEBRUSH_LISTEN_FDS"
FIRST_DESCRIPTOR = 3
_BACKLOG = 1024
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1


def listen(names: list[str]) -> list[int]:
    """Bind these Unix sockets in the working directory; only this user may connect. Close-on-exec descriptors."""
    if not names:
        return []
    import _socket

    sockets = []
    mask = os.umask(0o177)
    try:
        for name in names:
            try:  # noqa: SIM105 - contextlib takes too long to load
                os.unlink(name)
            except FileNotFoundError:
                pass  # It is there after a shim of this very directory that died before the job began.
            sockets.append(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM))
            sockets[-1].bind(name)
            sockets[-1].listen(_BACKLOG)
    finally:
        os.umask(mask)
    return [each.detach() for each in sockets]


def hand_over(descriptors: list[int]) -> None:
    """In the job's process, just before it becomes the user's command: put them where the job expects them."""
    beyond = FIRST_DESCRIPTOR + len(descriptors)
    # Out of the way first: the places they belong to may be those that other ones of them have now.
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, beyond) for descriptor in descriptors]
    for place, descriptor in enumerate(moved, FIRST_DESCRIPTOR):
        os.dup2(descriptor, place)


def raise_loopback() -> None:
    """Bring up ``lo`` in a network namespace that was just made."""
    import _socket

    with_name = b"lo".ljust(16, b"\0")
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        request = fcntl.ioctl(probe.fileno(), _SIOCGIFFLAGS, with_name + bytes(24))
        flags = int.from_bytes(request[16:18], "little") | _IFF_UP
        fcntl.ioctl(probe.fileno(), _SIOCSIFFLAGS, with_name + flags.to_bytes(2, "little") + bytes(22))
    finally:
        probe.close()


def share(path: str, *, own_user: Callable[[], None] | None) -> None:
    """Enter the network of everybody who names this file, made here if nobody lives in it. Called by the shim.

    ``own_user`` makes a user namespace: given where there is no root, and then that is shared as well, because only it
    has a right to the network.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        # Held until this shim stands in the file too, so that there is never a second network.
        fcntl.flock(file, fcntl.LOCK_EX)
        before = os.readlink("/proc/self/ns/net")
        if not any(_join(line.split(), own_user=own_user is not None) for line in _lines(file)):
            if own_user is not None:
                own_user()
            kernel.unshare(kernel.CLONE_NEWNET)
            raise_loopback()
        if os.readlink("/proc/self/ns/net") == before:
            raise OSError("the network of the job is the one of the host")
        pid = os.getpid()
        os.write(file, f"{pid} {record.start_time(pid)} {record.boot_id()}\n".encode())
    finally:
        os.close(file)


def _lines(file: int) -> list[str]:
    return os.pread(file, os.fstat(file).st_size, 0).decode().splitlines()


def _join(member: list[str], *, own_user: bool) -> bool:
    """Enter the network of a shim; False when it is gone."""
    if len(member) != 3 or member[2] != record.boot_id():
        return False
    pid = int(member[0])
    kinds = [("user", kernel.CLONE_NEWUSER)] * own_user + [("net", kernel.CLONE_NEWNET)]
    descriptors: list[int] = []
    try:
        for name, _ in kinds:
            descriptors.append(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC))
        # Compared after opening: a pid reused in between has another start time.
        if record.start_time(pid) != int(member[1]):
            return False
        for descriptor, (_, kind) in zip(descriptors, kinds, strict=True):
            kernel.enter_namespace(descriptor, kind)
        return True
    except (FileNotFoundError, ProcessLookupError):
        return False
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
