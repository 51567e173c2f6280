"""A steady stream of requests, sent when they are due whether or not earlier ones were answered (an open loop)."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_SECONDS_PER_REQUEST = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was due (monotonic), how long from then until it was answered, and what went wrong."""

    due: float
    seconds: float
    body: bytes
    problem: str = ""


@dataclass
class Stream:
    """Requests in turn to 127.0.0.1:port at ``rate`` per second over kept connections, between start and stop."""

    port: int
    requests: Sequence[bytes]
    rate: float
    answers: list[Answer] = field(default_factory=list)

    def start(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait for the answers that are due."""
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        waiting = set()
        began = time.monotonic()
        for number in itertools.count():
            due = began + number / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._stop.is_set():
                break
            task = asyncio.create_task(self._ask(self.requests[number % len(self.requests)], due))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        await asyncio.gather(*waiting)
        for _, writer in self._free:
            writer.close()

    async def _ask(self, request: bytes, due: float) -> None:
        try:
            async with asyncio.timeout(_SECONDS_PER_REQUEST):
                status, body = await self._exchange(request)
            problem = "" if status == 200 else f"{status} {body[:200]!r}"
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            body, problem = b"", f"{type(error).__name__}: {error}"
        self.answers.append(Answer(due, time.monotonic() - due, body, problem))

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        connection = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = connection
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(int(line.partition(":")[2]) for line in head.split("\r\n") if line.startswith("content-length:"))
        body = await reader.readexactly(length)
        if "connection: close" in head:
            writer.close()
        else:
            self._free.append(connection)
        return int(head.split()[1]), body
