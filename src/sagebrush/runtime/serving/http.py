"""As much of HTTP/1.1 as the front door speaks: whole requests with Content-Length, one after the other."""

from __future__ import annotations

import socket
from typing import NamedTuple

_READ = 1 << 16
_MOST_HEAD = 1 << 16
_REASONS = {200: b"OK", 400: b"Bad Request", 406: b"Not Acceptable", 415: b"Unsupported Media Type"}


class Request(NamedTuple):
    """One request; header names are in lower case."""

    method: bytes
    path: bytes
    headers: dict[bytes, bytes]
    body: bytes


class BadRequest(Exception):
    """What arrived is not a request of the front door's."""


class Connection:
    """One connection of the front door, read and written blocking."""

    def __init__(self, peer: socket.socket):
        self.peer = peer
        self._buffer = b""

    def fileno(self) -> int:
        return self.peer.fileno()

    def read(self) -> Request | None:
        """The next request; None at the end of the connection. Raises BadRequest."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        while end < 0:
            if len(buffer) > _MOST_HEAD:
                raise BadRequest("the head does not end")
            data = self.peer.recv(_READ)
            if not data:
                return None
            buffer += data
            end = buffer.find(b"\r\n\r\n")
        lines = buffer[:end].split(b"\r\n")
        method, path, _ = lines[0].split(b" ", 2)
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        return Request(method, path, headers, self._body(buffer, end + 4, int(headers.get(b"content-length", b"0"))))

    def _body(self, buffer: bytes, start: int, length: int) -> bytes:
        have = len(buffer) - start
        if have >= length:
            self._buffer = buffer[start + length :]
            return buffer[start : start + length]
        self._buffer = b""
        body = bytearray(length)
        body[:have] = buffer[start:]
        rest = memoryview(body)[have:]
        while rest:
            count = self.peer.recv_into(rest)
            if not count:
                raise BadRequest("the body ends too early")
            rest = rest[count:]
        return bytes(body)

    def answer(self, status: int, content_type: str, body: bytes, custom_attributes: str | None = None) -> None:
        """Write a whole answer."""
        custom = "" if custom_attributes is None else f"X-Amzn-SageMaker-Custom-Attributes: {custom_attributes}\r\n"
        head = b"HTTP/1.1 %d %b\r\nContent-Length: %d\r\nContent-Type: %b\r\n%b\r\n" % (
            status,
            _REASONS.get(status, b"Error"),
            len(body),
            content_type.encode("latin-1", "replace"),
            custom.encode("latin-1", "replace"),
        )
        if len(body) < _READ:
            self.peer.sendall(head + body)
        else:
            self.peer.sendall(head)
            self.peer.sendall(body)
