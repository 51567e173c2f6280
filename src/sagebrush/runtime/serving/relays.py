"""Bytes between sockets: each end's bytes go to the other, so does the end of one direction, and nothing is read that
the other side does not take.

``python -m sagebrush.runtime.serving.relays LISTENER LIFELINE PATH`` relays connections to a Unix socket until the
lifeline ends; it is a process of its own, so that the one that forks workers has neither threads nor an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

_PIECE = 1 << 16
_BACKLOG = 1024

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Traffic:
    """What passes over one connection, for whoever has to know whether an answer is still to come."""

    def __init__(self) -> None:
        self.asked = False
        self.moved_at = 0.0


async def serve(
    listener: socket.socket,
    connect: Callable[[], Awaitable[_Streams]],
    traffic: set[Traffic] | None = None,
) -> asyncio.Server:
    """Relay what connects to ``listener``, to whatever ``connect`` gives; ``traffic`` has the connections of now."""
    running: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_relay((reader, writer), connect, traffic if traffic is not None else set()))
        running.add(task)
        task.add_done_callback(running.discard)

    listener.setblocking(False)
    if listener.family == socket.AF_UNIX:
        return await asyncio.start_unix_server(begin, sock=listener, backlog=_BACKLOG)
    return await asyncio.start_server(begin, sock=listener, backlog=_BACKLOG)


async def _relay(near: _Streams, connect: Callable[[], Awaitable[_Streams]], traffic: set[Traffic]) -> None:
    seen = Traffic()
    try:
        far = await connect()
    except OSError:
        near[1].transport.abort()
        return
    traffic.add(seen)
    try:
        # A group: when one direction breaks, the other is of no use any more.
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(near[0], far[1], seen, asks=True))
            both.create_task(_copy(far[0], near[1], seen, asks=False))
    except* (OSError, asyncio.IncompleteReadError):
        for _, writer in (near, far):
            writer.transport.abort()
    finally:
        traffic.discard(seen)
        for _, writer in (near, far):
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Traffic, *, asks: bool) -> None:
    """One direction until its end, which is passed on."""
    clock = asyncio.get_running_loop().time
    while data := await reader.read(_PIECE):
        seen.asked, seen.moved_at = asks, clock()
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _until(listener: socket.socket, lifeline: int, path: str) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    # The platform ends whole process groups; requests of handlers that finish their work still need the relay.
    loop.add_signal_handler(signal.SIGTERM, lambda: None)
    loop.add_reader(lifeline, ended.set)
    async with await serve(listener, lambda: asyncio.open_unix_connection(path)):
        await ended.wait()
        loop.remove_reader(lifeline)


def main(arguments: list[str]) -> None:
    listener, lifeline, path = arguments
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_until(socket.socket(fileno=int(listener)), int(lifeline), path))


if __name__ == "__main__":
    main(sys.argv[1:])
