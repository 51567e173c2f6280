"""A front door and tiny real planes behind it, each on a thread of its own; and a raw client socket."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from sagebrush.planes.front.door import FrontDoor
from sagebrush.planes.front.limits import Limits

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class EchoPlane:
    """Answers every request with what it saw, or as the path's first word says."""

    def __init__(self, name: str, path: Path):
        self.name = name
        self.path = path
        self.seen: list[str] = []
        self.disconnected = threading.Event()
        self.gate = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.path))
        listening.listen(100)
        config = uvicorn.Config(
            self, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=600, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.path.unlink(missing_ok=True)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode()
        self.seen.append(path)
        word = path.strip("/").partition("/")[0]
        handler = getattr(self, f"_{word.replace('-', '_')}", self._echo)
        await handler(scope, receive, send)

    async def _echo(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        digest, size = hashlib.sha256(), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                return
            digest.update(message.get("body", b""))
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        answer = {
            "plane": self.name,
            "method": scope["method"],
            "raw_path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": [(n.decode(), v.decode("latin-1")) for n, v in scope["headers"]],
            "size": size,
            "sha256": digest.hexdigest(),
        }
        await respond(send, 200, json.dumps(answer).encode())

    async def _early(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await respond(send, 403, b"no")

    async def _nothing(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _chunks(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one,", b"two,", b"three"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _bytes(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        size = int(scope["raw_path"].decode().rpartition("/")[2])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        piece = bytes(range(256)) * 4096
        while size > 0:
            await send({"type": "http.response.body", "body": piece[:size], "more_body": True})
            size -= len(piece)
        await send({"type": "http.response.body", "body": b""})

    async def _short(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Promises more than it sends: uvicorn then breaks the connection off."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"only this"})

    async def _wait(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answers when the gate opens; notices when the client leaves."""
        await receive()

        async def left() -> None:
            await receive()
            self.disconnected.set()

        waiting = asyncio.ensure_future(left())
        while not self.gate.is_set() and not waiting.done():
            await asyncio.sleep(0.01)
        waiting.cancel()
        if self.gate.is_set():
            await respond(send, 200, b"waited")


async def respond(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class RunningFront:
    """A :class:`FrontDoor` on a thread with its own loop."""

    def __init__(self, directory: Path, limits: Limits, tls_context: Callable[[], ssl.SSLContext] | None = None):
        self.control = EchoPlane("control", directory / "c.sock")
        self.objects = EchoPlane("objects", directory / "o.sock")
        self._limits = limits
        self._tls_context = tls_context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.loop = uvloop.new_event_loop()
        self.door: FrontDoor
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._clients: list[RawClient] = []

    def start(self) -> RunningFront:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._open())
        self._ready.set()
        self.loop.run_forever()
        for _ in range(5):  # Aborted transports close their handles in the iterations after.
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def _open(self) -> None:
        self.door = FrontDoor(
            control=self.control.path, objects=self.objects.path, limits=self._limits, tls_context=self._tls_context
        )
        await self.door.start(self._listening)

    def stop(self, grace_seconds: float = 1.0) -> None:
        asyncio.run_coroutine_threadsafe(self.door.stop(grace_seconds=grace_seconds), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()
        for client in self._clients:
            client.close()

    def client(self) -> RawClient:
        client = RawClient(socket.create_connection(("127.0.0.1", self.port), timeout=20))
        self._clients.append(client)
        return client


class RawClient:
    """A client socket that sees every byte."""

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.buffer = b""

    def send(self, data: bytes) -> RawClient:
        self.sock.sendall(data)
        return self

    def close(self) -> None:
        self.sock.close()

    def _more(self) -> bool:
        data = self.sock.recv(1 << 20)
        self.buffer += data
        return bool(data)

    def head(self) -> tuple[int, dict[str, str]]:
        """The next response head: status and headers."""
        while b"\r\n\r\n" not in self.buffer:
            assert self._more(), f"the connection ended before a response head: {self.buffer!r}"
        raw, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]), headers

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            assert self._more(), "the connection ended before the body did"
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return body

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """The next response with a Content-Length body."""
        status, headers = self.head()
        return status, headers, self.exactly(int(headers.get("content-length", "0")))

    def echo(self) -> dict[str, Any]:
        status, _, body = self.response()
        assert status == 200, body
        seen: dict[str, Any] = json.loads(body)
        return seen

    def until_closed(self) -> bytes:
        """Everything up to the orderly end of the connection."""
        while self._more():
            pass
        rest, self.buffer = self.buffer, b""
        return rest
