"""What the front door says of its routes: which version it goes by, and what is still in flight."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sagebrush.inference.engine.unix_sockets import connect
from sagebrush.substrate.front_door import PAGE

_QUESTION = f"GET {PAGE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
_MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Routed:
    """``version`` of the snapshot that is routed by; ``outstanding`` requests by replica id."""

    version: int
    outstanding: Mapping[str, int]


def ask(page: Path, timeout_seconds: float) -> Routed | None:
    """Ask the page at this socket. None where nobody answers in time: the front door is away for a moment."""
    try:
        with connect(page, timeout_seconds) as connection:
            connection.sendall(_QUESTION)
            body = _body(connection)
        document = json.loads(body)
        return Routed(int(document["version"]), document["outstanding"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _body(connection: socket.socket) -> bytes:
    """The body of one answer with a Content-Length. Raises ValueError for anything else."""
    data = b""
    length: int | None = None
    while length is None or len(data) < length:
        piece = connection.recv(65536)
        if not piece:
            raise ValueError("the answer ends too early")
        data += piece
        if length is None and b"\r\n\r\n" in data:
            head, _, data = data.partition(b"\r\n\r\n")
            length = _length(head)
    return data[:length]


def _length(head: bytes) -> int:
    lines = head.split(b"\r\n")
    if lines[0].split(b" ")[1:2] != [b"200"]:
        raise ValueError(f"the answer is {lines[0]!r}")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and int(value) <= _MOST_BYTES:
            return int(value)
    raise ValueError("the answer does not tell its length")
