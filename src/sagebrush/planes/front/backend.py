"""The planes' side: pooled Unix-socket connections, and waiting for a plane that is restarting."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol, cast

#: Bytes that may wait in a transport before its source is told to pause.
WRITE_HIGH_WATER = 512 * 1024


class Exchange(Protocol):
    """What an upstream connection tells whoever uses it."""

    def upstream_data(self, data: bytes) -> None:
        """Bytes of the response."""

    def upstream_lost(self, error: Exception | None) -> None:
        """The connection ended; ``error`` is None for an orderly end."""

    def upstream_writable(self, writable: bool) -> None:
        """Whether the plane takes more of the request's body just now."""


class Upstream(asyncio.Protocol):
    """One connection to a plane: in use by one exchange, or idle in its pool."""

    def __init__(self, pool: Backend):
        self._pool = pool
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        if self.exchange is None:
            self.transport.abort()  # A plane speaks only when asked.
        else:
            self.exchange.upstream_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        if self.exchange is not None:
            exchange, self.exchange = self.exchange, None
            exchange.upstream_lost(exc)

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.upstream_writable(False)

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.upstream_writable(True)

    def read(self, wanted: bool) -> None:
        """Take bytes of the response, or leave them with the plane for now."""
        if not self.transport.is_closing():
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def release(self, *, reusable: bool) -> None:
        """The exchange is over: back to the pool, or closed."""
        self.exchange = None
        if reusable and not self.transport.is_closing() and self._pool.keep(self):
            self.read(True)
        else:
            self.transport.abort()


class BackendDown(Exception):
    """The plane did not answer on its socket within the time requests are held."""


class Backend:
    """One plane: its socket, its idle connections, and the wait while it restarts.

    ``hold_seconds`` is how long a request waits for an absent plane: long enough for a restart, short enough for a
    client's own timeout.
    """

    def __init__(self, name: str, path: Path, *, hold_seconds: float = 10.0, max_idle: int = 64):
        self.name = name
        self._path = str(path)
        self._hold_seconds = hold_seconds
        self._max_idle = max_idle
        self._idle: list[Upstream] = []
        self._probe: asyncio.Task[bool] | None = None

    def idle(self) -> Upstream | None:
        """An idle connection, or None."""
        while self._idle:
            upstream = self._idle.pop()
            if not upstream.transport.is_closing():
                return upstream
        return None

    async def connect(self) -> Upstream:
        """A fresh connection; waits while the plane is absent. Raises :class:`BackendDown`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hold_seconds
        while True:
            try:
                return await self._open()
            except OSError:
                # One prober for all that wait: a thousand held requests must not hammer the socket.
                if self._probe is None or self._probe.done():
                    self._probe = loop.create_task(self._wait_for_socket(deadline))
                if not await asyncio.shield(self._probe) and loop.time() >= deadline:
                    raise BackendDown(self.name) from None

    async def connect_now(self) -> Upstream:
        """A fresh connection without waiting for an absent plane. Raises OSError."""
        return await self._open()

    async def _open(self) -> Upstream:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_unix_connection(lambda: Upstream(self), self._path)
        return upstream

    async def _wait_for_socket(self, deadline: float) -> bool:
        """Poll until the plane accepts; False at ``deadline``."""
        loop = asyncio.get_running_loop()
        while loop.time() < deadline:
            await asyncio.sleep(0.03)
            with contextlib.suppress(OSError):
                upstream = await self._open()
                upstream.release(reusable=True)
                return True
        return False

    def keep(self, upstream: Upstream) -> bool:
        """Take an idle connection into the pool; False when it is full."""
        if len(self._idle) >= self._max_idle:
            return False
        self._idle.append(upstream)
        return True

    def forget(self, upstream: Upstream) -> None:
        """A connection ended."""
        with contextlib.suppress(ValueError):
            self._idle.remove(upstream)

    def close(self) -> None:
        """Close every idle connection."""
        for upstream in self._idle:
            upstream.transport.abort()
        self._idle.clear()
        if self._probe is not None:
            self._probe.cancel()
