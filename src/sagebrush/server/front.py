"""The front door's process."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import uvloop

from sagebrush.planes.front.door import FrontDoor
from sagebrush.server.data_directory import CONTROL_SOCKET, OBJECTS_SOCKET
from sagebrush.server.process import Start, begin, settle


def sts_context(directory: Path) -> Callable[[], ssl.SSLContext]:
    """The TLS of the STS names, made from the data directory's certificates when first asked for."""

    def make() -> ssl.SSLContext:
        # cryptography weighs more than the whole front door: only who uses the proxy pays for it.
        from sagebrush.substrate.identity import certificates

        return certificates.server_context(directory)

    return make


async def serve(start: Start) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    door = FrontDoor(
        control=CONTROL_SOCKET, objects=OBJECTS_SOCKET, tls_context=sts_context(start.settings.data_dir / "keys")
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
    main()
