"""As much of HTTP/1.1 as the front door speaks: whole requests with Content-Length, one after the other.

Connections do not block: what is not there yet is waited for by the worker's poll, so that no client that stalls holds
up the others.
"""

from __future__ import annotations

import http
import select
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

_READ = 1 << 16
_MOST_HEAD = 1 << 16
_REMEMBERED = 1024
#: How long the front door may take no byte of an answer.
_SEND_SECONDS = 30.0
_REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}
#: A trailer, which the front door reads, and how long it may be.
_FAILURE = b"X-Sagebrush-Failure"
_MOST_FAILURE = 1000
#: Headers of an answer that handlers do not decide on.
_OWN_HEADERS = frozenset({"content-length", "content-type", "connection", "transfer-encoding", "date", "server"})


class Request(NamedTuple):
    """One request; header names are in lower case."""

    method: bytes
    path: bytes
    headers: Mapping[bytes, bytes]
    body: bytes


class Head(NamedTuple):
    """The head of a request; header names are in lower case. ``length`` is that of the body."""

    method: bytes
    path: bytes
    headers: Mapping[bytes, bytes]
    length: int


class BadRequest(Exception):
    """What arrived is not a request of the front door's."""


class Closed(Exception):
    """The front door has closed the connection."""


class Connection:
    """One connection of the front door."""

    def __init__(self, peer: socket.socket):
        peer.setblocking(False)
        self._peer = peer
        self._buffer = b""
        #: The request whose body is still arriving, that body, and how much of it is there.
        self._begun: Request | None = None
        self._body = bytearray()
        self._have = 0

    def fileno(self) -> int:
        return self._peer.fileno()

    def close(self) -> None:
        self._peer.close()

    def receive(self) -> Request | None:
        """What has arrived: a whole request, or None as long as there is more to come. Raises BadRequest, Closed."""
        if self._begun is not None:
            return self._more_body(self._begun)
        try:
            data = self._peer.recv(_READ)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > _MOST_HEAD:
                raise BadRequest("the head of the request does not end")
            self._buffer = buffer
            return None
        return self._request(buffer, end)

    def _request(self, buffer: bytes, end: int) -> Request | None:
        method, path, headers, length = _remembered(buffer[:end]) if end < _REMEMBERED else _parsed(buffer[:end])
        start = end + 4
        have = len(buffer) - start
        if have >= length:
            self._buffer = buffer[start + length :]
            return Request(method, path, headers, buffer[start : start + length])
        self._buffer = b""
        self._begun = Request(method, path, headers, b"")
        self._body = bytearray(length)
        self._body[:have] = memoryview(buffer)[start:]
        self._have = have
        return self._more_body(self._begun)

    def _more_body(self, begun: Request) -> Request | None:
        rest = memoryview(self._body)[self._have :]
        while rest:
            try:
                count = self._peer.recv_into(rest)
            except BlockingIOError:
                return None
            except OSError as error:
                raise Closed from error
            if not count:
                raise Closed
            self._have += count
            rest = rest[count:]
        body = bytes(self._body)
        self._begun, self._body = None, bytearray()
        return begun._replace(body=body)

    def answer(
        self, status: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None, *, last: bool
    ) -> None:
        """Write a whole answer; ``last`` announces the end of the connection. Raises Closed."""
        head = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n" % (
            status,
            _REASONS.get(status, b"Unknown"),
            content_type.encode("latin-1", "replace"),
            len(body),
            _lines(headers) if headers else b"",
            b"Connection: close\r\n" if last else b"",
        )
        try:
            if len(body) < _READ:
                self._send(head + body)
            else:
                self._send(head)
                self._send(body)
        except OSError as error:
            raise Closed from error

    def begin(self, status: int, content_type: str, headers: Mapping[str, str] | None = None, *, last: bool) -> None:
        """Write the head of an answer whose parts follow, by :meth:`part`, until :meth:`end`. Raises Closed."""
        self._write(
            b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n%b%b\r\n"
            % (
                status,
                _REASONS.get(status, b"Unknown"),
                content_type.encode("latin-1", "replace"),
                _lines(headers) if headers else b"",
                b"Connection: close\r\n" if last else b"",
            )
        )

    def part(self, data: bytes) -> None:
        """Write a part, however long the front door takes nothing. Raises Closed, also when nobody wants the rest."""
        self._write(b"%x\r\n%b\r\n" % (len(data), data))
        try:
            gone = not self._peer.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return  # The usual: it is there, and says nothing while it listens.
        except OSError as error:
            raise Closed from error
        if gone:
            raise Closed

    def end(self, failure: str = "") -> None:
        """The last part was written; ``failure`` says in one line why it is not what should have been the last."""
        trailer = b"%b: %b\r\n" % (_FAILURE, _one_line(failure)[:_MOST_FAILURE].encode()) if failure else b""
        self._write(b"0\r\n%b\r\n" % trailer)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[self._peer.send(rest) :]
                except BlockingIOError:
                    waiting = select.poll()
                    waiting.register(self._peer, select.POLLOUT)
                    waiting.poll()
        except OSError as error:
            raise Closed from error

    def _send(self, data: bytes) -> None:
        try:
            sent = self._peer.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._peer.settimeout(_SEND_SECONDS)
            self._peer.sendall(memoryview(data)[sent:])
            self._peer.setblocking(False)


def _parsed(head: bytes) -> Head:
    lines = head.split(b"\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    try:
        method, path, _ = lines[0].split(b" ")
        length = int(headers.get(b"content-length", b"0"))
    except ValueError:
        raise BadRequest(f"not a request: {lines[0][:100]!r}") from None
    if length < 0 or b"transfer-encoding" in headers:
        raise BadRequest("a request needs a Content-Length")
    return Head(method, path, headers, length)


#: Clients send the same head again and again.
_remembered = lru_cache(maxsize=64)(_parsed)


def _lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they are sent; no value can begin a line of its own."""
    kept = {name: str(value) for name, value in headers.items() if name.lower() not in _OWN_HEADERS}
    text = "".join(f"{_one_line(name)}: {_one_line(value)}\r\n" for name, value in kept.items())
    return text.encode("latin-1", "replace")


def _one_line(text: str) -> str:
    return " ".join(text.split())
