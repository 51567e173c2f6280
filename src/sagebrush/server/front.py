"""The front door's process."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from pathlib import Path

import uvloop

from sagebrush.planes.front.door import FrontDoor
from sagebrush.server.data_directory import CONTROL_SOCKET, OBJECTS_SOCKET
from sagebrush.server.process import Start, begin, run, settle


class StsContext:
    """The TLS of the STS names, from the certificate that the control plane keeps; read again when it was renewed."""

    def __init__(self, keys: Path):
        self._certificate = keys / "sts.pem"
        self._key = keys / "sts.key"
        self._made_for = 0
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        """The context. Raises OSError while there is no certificate."""
        version = self._certificate.stat().st_mtime_ns
        if self._context is None or version != self._made_for:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate, self._key)
            context.set_alpn_protocols(["http/1.1"])
            self._context, self._made_for = context, version
        return self._context


async def serve(start: Start) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    door = FrontDoor(
        control=CONTROL_SOCKET, objects=OBJECTS_SOCKET, tls_context=StsContext(start.settings.data_dir / "keys")
    )
    assert start.listen_fd is not None
    await door.start(socket.socket(fileno=start.listen_fd))
    settle()
    await stop.wait()
    await door.stop()


def main() -> None:
    """``python -m sagebrush.server.front``, started by the supervisor in the data directory."""
    uvloop.run(serve(begin()))


if __name__ == "__main__":
    run(main)
