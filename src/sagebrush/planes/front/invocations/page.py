"""The front door's own page for the platform: what is routed, and what is still in flight."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final, cast

from sagebrush.planes.front.heads import END
from sagebrush.substrate.front_door import PAGE

PATH: Final = PAGE.encode()
_MAX_HEAD: Final = 16 * 1024

#: Called with what to answer, once that is known.
Answering = Callable[[Callable[[object], None]], None]


class PageConnection(asyncio.Protocol):
    """A connection of the control plane: ``GET /_sagebrush/routing``, as often as it likes."""

    def __init__(self, answering: Answering):
        self._answering = answering
        self._buffer = b""
        self._asked = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > _MAX_HEAD:
            self._transport.abort()
        else:
            self._next()

    def _next(self) -> None:
        while not self._asked and (end := self._buffer.find(END)) >= 0:
            line = self._buffer.partition(b"\r\n")[0].split(b" ")
            self._buffer = self._buffer[end + len(END) :]
            if line[:2] == [b"GET", PATH]:
                self._asked = True
                self._answering(self._answer)
            else:
                self._write(b"404 Not Found", {"message": "There is no such page."})

    def _answer(self, document: object) -> None:
        self._asked = False
        self._write(b"200 OK", document)
        self._next()

    def _write(self, status: bytes, document: object) -> None:
        if not self._transport.is_closing():
            body = json.dumps(document).encode()
            head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
            self._transport.write(head + body)
