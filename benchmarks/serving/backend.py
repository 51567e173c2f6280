"""A server that costs next to nothing: one fixed answer on a Unix socket and on a TCP port.

python -m benchmarks.serving.backend SOCKET PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import httptools
import uvloop

BODY = b'{"prediction": 1}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Backend: benchmark\r\n\r\n%s"
    % (len(BODY), BODY)
)


class Backend(asyncio.Protocol):
    """Reads a whole request, then gives the answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(_ANSWER)


async def serve(socket: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_unix_server(Backend, socket), await loop.create_server(Backend, "127.0.0.1", port)]
    Path(socket).chmod(0o666)
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
