"""Connecting to Unix sockets whose paths may be longer than the kernel takes."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def connect(path: Path, timeout_seconds: float) -> socket.socket:
    """A connection to the socket at ``path``; with a time-out of 0 it does not block. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout_seconds)
        # A path may have 107 bytes; by way of the open folder it has not many.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except OSError:
        connection.close()
        raise
    return connection
