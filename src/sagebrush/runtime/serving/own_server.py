"""A program that the model brings instead of handlers: run as it is, reached through relays, asked how it is."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from sagebrush.runtime import outcome
from sagebrush.runtime.directories import Directories

_DEFAULT_PORT = 8080
_PING_SECONDS = 5.0
_PING_FAILURES = 3
_STOP_SECONDS = 30.0
_PIECE = 1 << 16


def wanted(code: str) -> bool:
    """Whether the model's code is a server of its own."""
    program = os.environ.get("SAGEMAKER_PROGRAM", "")
    if program:
        return not program.endswith(".py")
    return os.access(Path(code) / "serve", os.X_OK)


def run(code: str, listener: socket.socket, directories: Directories) -> int:
    """Run the program until it ends, is told to, or answers its ping no more."""
    program = Path(code) / (os.environ.get("SAGEMAKER_PROGRAM", "") or "serve")
    if not program.is_file():
        raise outcome.UserError(f"No file {program.name} was found in the code directory {code}.")
    program.chmod(program.stat().st_mode | 0o111)
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", str(_DEFAULT_PORT)))
    os.environ["SAGEMAKER_BIND_TO_PORT"] = str(port)
    return asyncio.run(_OwnServer(str(program), code, port, listener, directories).run())


class _OwnServer:
    def __init__(self, program: str, code: str, port: int, listener: socket.socket, directories: Directories):
        self._command = [program]
        self._code = code
        self._port = port
        self._listener = listener
        self._directories = directories
        self._stopping = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        relay = os.environ.get("SAGEBRUSH_RELAY", "")
        if relay:
            port, _, path = relay.partition(":")
            await asyncio.start_server(
                lambda r, w: _join(r, w, asyncio.open_unix_connection(path)), "127.0.0.1", int(port)
            )
        process = subprocess.Popen(self._command, cwd=self._code)
        stopped = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        ended = asyncio.ensure_future(asyncio.to_thread(process.wait))
        ready = asyncio.ensure_future(self._until_ready())
        stop = asyncio.ensure_future(stopped.wait())
        await asyncio.wait([ended, ready, stop], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            self._listener.setblocking(False)
            await asyncio.start_unix_server(
                lambda r, w: _join(r, w, asyncio.open_connection("127.0.0.1", self._port)), sock=self._listener
            )
            failing = asyncio.ensure_future(self._until_failing())
            await asyncio.wait([ended, failing, stop], return_when=asyncio.FIRST_COMPLETED)
            if failing.done():
                outcome.write_failure(self._directories.output, failing.result())
                print(failing.result(), file=sys.stderr, flush=True)
        if stop.done():
            self._stopping = True
        return await self._end(process, ended)

    async def _end(self, process: subprocess.Popen[bytes], ended: asyncio.Future[int]) -> int:
        if not ended.done():
            process.terminate()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(ended), _STOP_SECONDS)
            if not ended.done():
                process.kill()
                await ended
            return 0 if self._stopping else 1
        code = ended.result()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        outcome.write_failure(self._directories.output, f"The model's server {self._command[0]} ended {how}.")
        return 1

    async def _until_ready(self) -> None:
        while await asyncio.to_thread(self._ping) != 200:
            await asyncio.sleep(0.05)

    async def _until_failing(self) -> str:
        failures = 0
        while failures < _PING_FAILURES:
            await asyncio.sleep(_PING_SECONDS)
            status = await asyncio.to_thread(self._ping)
            failures = 0 if status == 200 else failures + 1
        told = f"answered its ping with {status}" if status else "did not answer its ping"
        return f"The model's server {told} {failures} times in a row."

    def _ping(self) -> int:
        """The status of GET /ping; 0 without an answer within two seconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connecting: object) -> None:
    try:
        far_reader, far_writer = await connecting  # type: ignore[misc]
    except OSError:
        writer.transport.abort()
        return
    await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    for end in (writer, far_writer):
        end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes one way until their end, which is passed on."""
    try:
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()
