"""Two connections joined: what one says, the other hears."""

from __future__ import annotations

import asyncio
from typing import cast

from sagebrush.planes.front.heads import END

_MAX_HEAD = 64 * 1024


class TunnelEnd(asyncio.Protocol):
    """One end of a tunnel. Until joined to its peer it collects what arrives (a chained proxy's answer)."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.peer: TunnelEnd | None = None
        self._early = b""
        self._head: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = transport = cast(asyncio.Transport, transport)

    async def read_head(self) -> bytes:
        """The first head that arrives; bytes after it wait for the peer. Raises EOFError."""
        self._head = asyncio.get_running_loop().create_future()
        self._look_for_head()
        return await self._head

    def _look_for_head(self) -> None:
        if self._head is None or self._head.done():
            return
        end = self._early.find(END)
        if end >= 0:
            head, self._early = self._early[: end + len(END)], self._early[end + len(END) :]
            self.transport.pause_reading()
            self._head.set_result(head)
        elif len(self._early) > _MAX_HEAD:
            self._head.set_exception(EOFError("no answer"))

    def meet(self, peer: TunnelEnd) -> None:
        """From now on everything goes to ``peer``."""
        self.peer = peer
        if self._early:
            peer.transport.write(self._early)
            self._early = b""

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self._early += data
            self._look_for_head()
        else:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """One side has said all it will; the other may still answer."""
        if self.peer is None or not self.peer.transport.can_write_eof():
            return False
        self.peer.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head is not None and not self._head.done():
            self._head.set_exception(EOFError("the connection ended"))
        if self.peer is not None:
            self.peer.transport.close()

    def pause_writing(self) -> None:
        if self.peer is not None and not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()


def join(near: asyncio.Transport, far: TunnelEnd) -> TunnelEnd:
    """Connect the transport ``near`` (paused) and ``far`` with each other; returns the near end."""
    end = TunnelEnd()
    end.connection_made(near)
    near.set_protocol(end)
    end.meet(far)
    far.meet(end)
    near.resume_reading()
    if not far.transport.is_closing():
        far.transport.resume_reading()
    return end
