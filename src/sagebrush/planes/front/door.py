"""The front door as a whole: what it listens on, what it forwards to, how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from sagebrush.planes.front.backend import Backend
from sagebrush.planes.front.connection import ClientConnection
from sagebrush.planes.front.invocations.service import Invocations, Rules
from sagebrush.planes.front.limits import Limits
from sagebrush.planes.front.proxy import ConnectProxy
from sagebrush.planes.front.routing import CONTROL, OBJECTS
from sagebrush.substrate.clock import Clock

#: For the last event of streams that are broken off to leave.
_LAST_WORDS_SECONDS = 0.1


class FrontDoor:
    """Accepts connections on listening sockets and serves them from the two planes.

    ``sockets`` are listening TCP sockets (the supervisor's, so that a restarted front door refuses nobody),
    ``control`` and ``objects`` the planes' Unix socket paths. ``tls_context`` serves the CONNECT proxy's STS names,
    ``server_tls`` the one URL itself to other machines, which then get nothing in the clear.
    Without :meth:`serve_invocations` the control plane is asked for those too.
    """

    def __init__(
        self,
        *,
        control: Path,
        objects: Path,
        limits: Limits | None = None,
        tls_context: Callable[[], ssl.SSLContext] | None = None,
        server_tls: Callable[[], ssl.SSLContext] | None = None,
    ):
        self.loop = asyncio.get_running_loop()
        self.limits = limits or Limits()
        self.connections: set[ClientConnection] = set()
        self.stopping = False
        hold = self.limits.hold_seconds
        self.backends = {
            CONTROL: Backend(CONTROL, control, hold_seconds=hold),
            OBJECTS: Backend(OBJECTS, objects, hold_seconds=hold),
        }
        self.invocations: Invocations | None = None
        self.server_tls = server_tls
        self.proxy = ConnectProxy(self, tls_context)
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def serve_invocations(
        self, *, rules: Rules, snapshot: Path, root: Path, clock: Clock, page: socket.socket | None = None
    ) -> None:
        """Answer InvokeEndpoint, streams too, by the routes in ``snapshot``; ``page`` listens for our own questions."""
        control = self.backends[CONTROL]
        self.invocations = Invocations(rules=rules, snapshot_file=snapshot, root=root, control=control, clock=clock)
        await self.invocations.start(page)

    async def start(self, *sockets: socket.socket) -> None:
        """Begin to accept. Unix sockets are for user code in a network of its own."""
        for listening in sockets:
            if listening.family == socket.AF_UNIX:
                enclosed = functools.partial(ClientConnection, self, enclosed=True)
                server = await self.loop.create_unix_server(enclosed, sock=listening, backlog=1024)
            else:
                server = await self.loop.create_server(lambda: ClientConnection(self), sock=listening, backlog=1024)
            self._servers.append(server)
        self._sweeper = self.loop.create_task(self._sweep())

    async def stop(self, *, grace_seconds: float = 5.0) -> None:
        """Stop accepting, let current exchanges end within ``grace_seconds``, then break off the rest."""
        self.stopping = True
        for server in self._servers:
            server.close()
        deadline = self.loop.time() + grace_seconds
        while self.loop.time() < deadline:
            for connection in tuple(self.connections):
                connection.stop()
            if not self.connections:
                break
            await asyncio.sleep(0.02)
        if self.invocations is not None and self.invocations.break_off():
            await asyncio.sleep(_LAST_WORDS_SECONDS)
        for connection in tuple(self.connections):
            connection.abort()
        if self.invocations is not None:
            self.invocations.close()
        self.proxy.close()
        for backend in self.backends.values():
            backend.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper

    async def _sweep(self) -> None:
        """Look for connections that take too long; often enough for the shortest limit, at most once a second."""
        limits = self.limits
        shortest = min(limits.head_seconds, limits.body_seconds, limits.stall_seconds, limits.linger_seconds)
        pause = max(0.02, min(1.0, shortest / 4))
        while True:
            await asyncio.sleep(pause)
            now = self.loop.time()
            for connection in tuple(self.connections):
                connection.check(now)
