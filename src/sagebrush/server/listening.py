"""The one port: bound by the supervisor, so that it is ours before anything starts, crashes included."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path

from sagebrush.substrate.errors import CallerError


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises CallerError ``PortInUse`` (who uses it) or ``AddressUnusable``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise CallerError(
                "PortInUse",
                f"Port {port} on {host} is already in use{_by_whom(port)}. "
                f"Choose another: sagebrush up --port {port + 1}",
            ) from None
        raise CallerError("AddressUnusable", f"Cannot listen on {host}:{port}: {error.strerror}") from None
    return listening


def _by_whom(port: int) -> str:
    """`` by NAME (pid N)`` where the system tells us, else nothing."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if _descriptors(process) & inodes:
            return f" by {_name(process)} (pid {process.name})"
    return ""


def _descriptors(process: Path) -> set[str]:
    """What a process has open; empty for a process that is not ours to look into."""
    found = set()
    with contextlib.suppress(OSError):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # Closed meanwhile.
                found.add(str(link.readlink()))
    return found


def _name(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "another process"
    if any(word.startswith("sagebrush.server") or word.endswith("/sagebrush") for word in words):
        return "another Sagebrush"
    return Path(words[0]).name or "another process"


def _listening_inodes(port: int) -> set[str]:
    """``socket:[inode]`` of every socket that listens on ``port``."""
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found
