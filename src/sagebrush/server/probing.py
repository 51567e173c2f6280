"""Asking a process of the platform whether it answers, with nothing but a socket."""

from __future__ import annotations

import socket
from pathlib import Path

_SECONDS = 5.0


def health(address: Path | tuple[str, int]) -> bool:
    """Whether ``GET /_sagebrush/health`` answers 200 at a Unix socket path or a TCP address."""
    family = socket.AF_UNIX if isinstance(address, Path) else (socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        try:
            connection.connect(str(address) if isinstance(address, Path) else address)
            connection.sendall(b"GET /_sagebrush/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False


def accepts(path: Path) -> bool:
    """Whether somebody listens at a Unix socket path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SECONDS)
        try:
            connection.connect(str(path))
        except OSError:
            return False
        return True
