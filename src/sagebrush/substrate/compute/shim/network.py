"""What a job gets of the network: sockets that it inherits listening, and a loopback of its own.

The sockets lie in the attempt's directory, where a sandboxed job does not reach, and only the job's processes hold
them: who connects before the job accepts waits in the backlog, who connects after its end is refused.
"""

# pathlib takes longer to load than all of the shim; the sockets' own half millisecond is for those who use them.
# ruff: noqa: PTH108

from __future__ import annotations

import fcntl
import os

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
