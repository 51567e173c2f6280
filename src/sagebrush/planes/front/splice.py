"""Long bodies of known length pass inside the kernel (splice(2)): the front door never sees their bytes.

Linux only; elsewhere, and for short or chunked bodies, bytes are read and written as usual.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from typing import Final, Literal

#: Below this, setting up costs more than copying.
WORTHWHILE_BYTES: Final = 256 * 1024

AVAILABLE: Final = hasattr(os, "splice")

_PIPE_BYTES: Final = 1024 * 1024
#: Moved in one turn of the event loop, so that other connections get theirs.
_TURN_BYTES: Final = 4 * 1024 * 1024


class Splice:
    """Moves ``count`` bytes from one plain transport's socket to another's.

    Both transports must leave their sockets alone meanwhile: ``source`` paused, ``sink`` with nothing left to write.
    ``ended(left)`` is called once: 0 when all went through, else how many bytes did not, because one side ended.
    :attr:`waiting_for` and :attr:`since` say who keeps us waiting, and since when (loop time).
    """

    def __init__(
        self, source: asyncio.Transport, sink: asyncio.Transport, count: int, ended: Callable[[int], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = count
        self._ended = ended
        self._in_pipe = 0
        self._closed = False
        self.waiting_for: Literal["", "source", "sink"] = ""
        self.since = self._loop.time()
        # The event loop refuses to watch a descriptor that a transport owns; a duplicate is another number.
        self._source = os.dup(source.get_extra_info("socket").fileno())
        self._sink = os.dup(sink.get_extra_info("socket").fileno())
        self._pipe_out, self._pipe_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # Beyond the user's allowance of pipe memory it stays at 64 KiB.
            fcntl.fcntl(self._pipe_in, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pump()

    def cancel(self) -> None:
        """Stop without calling ``ended``; bytes on their way are lost."""
        if self._closed:
            return
        self._closed = True
        self._wait("")
        for descriptor in (self._source, self._sink, self._pipe_out, self._pipe_in):
            os.close(descriptor)

    def _pump(self) -> None:
        if self._closed:
            return
        try:
            turn = _TURN_BYTES
            while turn > 0 and self._left:
                if not self._in_pipe and not self._fill():
                    self._wait("source")
                    return
                turn -= self._drain()
                if self._in_pipe:
                    self._wait("sink")
                    return
        except (OSError, EOFError):
            self._end()
            return
        if not self._left:
            self._end()
        else:
            self._wait("")
            self._loop.call_soon(self._pump)

    def _fill(self) -> int:
        """Bytes taken from the source into the empty pipe, 0 if there are none now. Raises EOFError at its end."""
        flags = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
        try:
            count = os.splice(self._source, self._pipe_in, min(_PIPE_BYTES, self._left), flags=flags)
        except BlockingIOError:
            return 0
        if count == 0:
            raise EOFError
        self._in_pipe = count
        return count

    def _drain(self) -> int:
        """Bytes given to the sink, 0 if it takes none now."""
        flags = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
        try:
            count = os.splice(self._pipe_out, self._sink, self._in_pipe, flags=flags)
        except BlockingIOError:
            return 0
        self._in_pipe -= count
        self._left -= count
        self.since = self._loop.time()
        return count

    def _wait(self, side: Literal["", "source", "sink"]) -> None:
        if side == self.waiting_for:
            return
        if self.waiting_for == "source":
            self._loop.remove_reader(self._source)
        elif self.waiting_for == "sink":
            self._loop.remove_writer(self._sink)
        self.waiting_for = side
        if side == "source":
            self._loop.add_reader(self._source, self._pump)
        elif side == "sink":
            self._loop.add_writer(self._sink, self._pump)

    def _end(self) -> None:
        left = self._left
        self.cancel()
        self._ended(left)


def possible(sink: asyncio.Transport) -> bool:
    """Whether a splice into ``sink`` may begin now: nothing queued before it."""
    return not sink.is_closing() and sink.get_write_buffer_size() == 0
