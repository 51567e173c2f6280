"""A program that the model brings instead of handlers: run as it is, reached through a relay, asked how it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from sagebrush.runtime import outcome
from sagebrush.runtime.directories import Directories
from sagebrush.runtime.serving import preparing, relays
from sagebrush.runtime.serving.platform_relay import PlatformRelay
from sagebrush.runtime.serving.progress import Progress

_DEFAULT_PORT = "8080"
#: The container contract gives an answer to /ping two seconds.
_PING_TIMEOUT = 2.0
_PING_SECONDS, _FIRST_PING_SECONDS = 5.0, 0.05
_PING_FAILURES = 3
_STOP_SECONDS = 30.0
#: An answer that has moved no byte for so long has ended, as far as a relay can tell.
_QUIET_SECONDS = 0.5


def run(
    program: str,
    listeners: list[socket.socket],
    directories: Directories,
    relay: PlatformRelay,
    progress: Progress,
) -> int:
    """Run the program until it ends, answers its ping no more, or SIGTERM; the exit code of the model server."""
    port = os.environ.setdefault("SAGEMAKER_BIND_TO_PORT", _DEFAULT_PORT)
    if not port.isdigit():
        raise outcome.UserError(f"SAGEMAKER_BIND_TO_PORT is {port!r}, which is not a port.")
    path = Path(program)
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | 0o111)
    server = _OwnServer(path, int(port), listeners, directories, relay, progress)
    return asyncio.run(server.run(preparing.start_seconds(os.environ)))


class _Failed(Exception):
    """Why the model's server does not serve."""


class _OwnServer:
    def __init__(
        self,
        program: Path,
        port: int,
        listeners: list[socket.socket],
        directories: Directories,
        relay: PlatformRelay,
        progress: Progress,
    ):
        self._program = program
        self._port = port
        self._listeners = listeners
        self._directories = directories
        self._relay = relay
        self._progress = progress
        self._traffic: set[relays.Traffic] = set()
        self._changed = asyncio.Event()
        self._asked_to_stop = False
        self._ready = False
        self._problem = "not asked yet"
        self._timed_out = False

    async def run(self, start_seconds: float) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGCHLD, self._changed.set)
        process = self._start()
        watch = asyncio.ensure_future(self._watch(start_seconds))
        watch.add_done_callback(lambda _: self._changed.set())
        while not (self._asked_to_stop or watch.done() or process.poll() is not None):
            self._changed.clear()
            await self._changed.wait()
            self._relay.look()
        told = self._verdict(process, watch)
        watch.cancel()
        await self._end(process)
        return 1 if told else 0

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            # In a session of its own: SIGTERM is for the whole process group, and would end it amidst its answers.
            return subprocess.Popen([str(self._program)], cwd=self._program.parent, start_new_session=True)
        except OSError as error:
            raise outcome.UserError(
                f"{self._program} cannot be run: {error.strerror}. It is started as it is, so a script begins with "
                "a line such as #!/usr/bin/env python3, and a program is one for this machine."
            ) from None

    def _stop(self) -> None:
        self._asked_to_stop = True
        self._changed.set()

    def _verdict(self, process: subprocess.Popen[bytes], watch: asyncio.Future[None]) -> str:
        """Why it is over, left as the reason of failure; '' when it was told to stop."""
        told = ""
        code = process.poll()
        if code is not None and not self._asked_to_stop:
            how = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with exit code {code}"
            when = "" if self._ready else ", before it answered GET /ping"
            told = f"The model's server {self._program} ended {how}{when}."
        elif watch.done():
            told = str(watch.exception())
        if told:
            outcome.write_failure(self._directories.output, told)
            print(told, file=sys.stderr, flush=True)
        elif not self._ready:
            self._progress.tell(f"waiting for its program to answer GET /ping on port {self._port} ({self._problem})")
            outcome.write_failure(self._directories.output, str(self._progress))
        return told

    async def _watch(self, start_seconds: float) -> None:
        """Wait for the first answer to /ping, open the way to the program, go on asking. Raises _Failed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + start_seconds
        while not await self._healthy():
            if loop.time() > until:
                raise _Failed(
                    f"The model's server {self._program} did not answer GET /ping with status 200 on port {self._port} "
                    f"within {start_seconds:g} s: {self._problem}."
                )
            await asyncio.sleep(_FIRST_PING_SECONDS)
        self._ready = True
        servers = [
            await relays.serve(listener, lambda: asyncio.open_connection("127.0.0.1", self._port), self._traffic)
            for listener in self._listeners
        ]
        try:
            await self._until_failing()
        finally:
            for server in servers:
                server.close()

    async def _until_failing(self) -> None:
        failures = 0
        while failures < _PING_FAILURES:
            await asyncio.sleep(_PING_SECONDS)
            if await self._healthy():
                failures = 0
            elif not (self._timed_out and any(traffic.asked for traffic in self._traffic)):
                # One that is busy with a request may have no time for its ping.
                failures += 1
        raise _Failed(
            f"The model's server {self._program} failed {failures} health checks in a row (GET /ping on port "
            f"{self._port}): {self._problem}."
        )

    async def _healthy(self) -> bool:
        """Whether GET /ping is answered with 200; ``_problem`` says why not."""
        self._timed_out = False
        try:
            async with asyncio.timeout(_PING_TIMEOUT):
                self._problem = await self._ping()
        except TimeoutError:
            self._timed_out = True
            self._problem = f"no answer within {_PING_TIMEOUT:g} s"
        except OSError as error:
            self._problem = os.strerror(error.errno).lower() if error.errno else str(error)
        return not self._problem

    async def _ping(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            line = await reader.readline()
        finally:
            writer.close()
        parts = line.split()
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1."):
            return f"the answer is not HTTP ({line[:40]!r})" if line else "the connection was closed without an answer"
        return "" if parts[1] == b"200" else f"the answer has status {parts[1].decode('latin-1')[:20]}"

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Let answers that have begun come to their end, then end the program: SIGTERM, at last SIGKILL."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _STOP_SECONDS
        while process.poll() is None and loop.time() < until and self._busy(loop.time()):
            await asyncio.sleep(0.02)
        if process.poll() is None:
            process.terminate()
        while process.poll() is None and loop.time() < until:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until - loop.time()):
                    await self._changed.wait()
        if process.poll() is None:
            process.kill()
            process.wait()

    def _busy(self, now: float) -> bool:
        return any(traffic.asked or now - traffic.moved_at < _QUIET_SECONDS for traffic in self._traffic)
