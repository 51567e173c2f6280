"""The front door's process.

It works in the data directory. Besides the platform's port it listens on Unix sockets of its own: ``run/front.sock`` is
the one URL for user code in a private network, ``run/routing.sock`` its page for the control plane.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from pathlib import Path
from typing import Final

import uvloop

from sagebrush.planes.front.door import FrontDoor
from sagebrush.planes.front.invocations.service import Rules
from sagebrush.server.data_directory import CONTROL_SOCKET, OBJECTS_SOCKET
from sagebrush.server.process import Start, begin, run, settle
from sagebrush.server.tls import certificate_files
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.front_door import ENCLOSED_SOCKET, PAGE_SOCKET, SNAPSHOT
from sagebrush.substrate.settings import Settings

#: Another name of the socket for user code in a private network.
FRONT_SOCKET: Final = Path("run/front.sock")


class CertificateContext:
    """TLS with a certificate that somebody else keeps; read again when it was renewed."""

    def __init__(self, certificate: Path, key: Path):
        self._certificate = certificate
        self._key = key
        self._made_for = 0
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        """The context. Raises OSError while there is no certificate."""
        version = self._certificate.stat().st_mtime_ns
        if self._context is None or version != self._made_for:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate, self._key)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            self._context, self._made_for = context, version
        return self._context


def sts_context(keys: Path) -> CertificateContext:
    """The TLS of the STS names, from the certificate that the control plane keeps."""
    return CertificateContext(keys / "sts.pem", keys / "sts.key")


def server_tls(settings: Settings) -> CertificateContext | None:
    """The TLS of the one URL; None where it speaks plain http."""
    if settings.tls == "off":
        return None
    return CertificateContext(*certificate_files(settings))


def listen(path: Path, mode: int, other: Path | None = None) -> socket.socket:
    """A listening Unix socket at ``path`` and ``other``, instead of what a former process left there."""
    names = [path] if other is None else [path, other]
    beside = [name.with_name(f".{name.name}.{os.getpid()}") for name in names]
    for name in beside:
        name.parent.mkdir(mode=0o755, exist_ok=True)
        name.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(beside[0]))
    beside[0].chmod(mode)
    listening.listen(1024)
    for name in beside[1:]:
        name.hardlink_to(beside[0])
    for name, final in zip(beside, names, strict=True):
        name.replace(final)
    return listening


def rules_of(settings: Settings) -> Rules:
    """What the settings say about invocations."""
    return Rules(
        account=settings.account,
        region=settings.region,
        signed=settings.auth != "open",
        max_bytes=settings.invocation_max_bytes,
        waiting=settings.invocation_waiting,
        stream_seconds=settings.invocation_stream_seconds,
    )


async def serve(start: Start) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    door = FrontDoor(
        control=CONTROL_SOCKET,
        objects=OBJECTS_SOCKET,
        tls_context=sts_context(start.settings.data_dir / "keys"),
        server_tls=server_tls(start.settings),
    )
    assert start.listen_fd is not None
    await door.serve_invocations(
        rules=rules_of(start.settings),
        snapshot=SNAPSHOT,
        root=Path(),
        clock=SystemClock(),
        page=listen(PAGE_SOCKET, 0o600),
    )
    await door.start(socket.socket(fileno=start.listen_fd), listen(ENCLOSED_SOCKET, 0o666, FRONT_SOCKET))
    settle()
    await stop.wait()
    await door.stop()


def main() -> None:
    """``python -m sagebrush.server.front``, started by the supervisor in the data directory."""
    uvloop.run(serve(begin()))


if __name__ == "__main__":
    run(main)
