"""A front door that answers invocations: real worker processes, a control plane that gives grants, signed clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from sagebrush.planes import DIRECT_HEADER
from sagebrush.planes.front.invocations.service import Rules
from sagebrush.planes.front.limits import Limits
from sagebrush.substrate.clock import SystemClock
from tests.planes.front.running import EchoPlane, RawClient, Receive, RunningFront, Send, respond

ACCOUNT, REGION = "123456789012", "us-east-1"
KEY, SECRET = "AKIDINVOKER", "the secret of the invoker"
JSON = "application/json"


def poll(question: Callable[[], Any], what: str = "it") -> Any:
    """Wait until ``question`` has an answer."""
    end = time.monotonic() + 30
    while not (answer := question()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)
    return answer


class GrantingPlane(EchoPlane):
    """The control plane's side of grants, by a table; ``asked`` are the questions it got."""

    def __init__(self, name: str, path: Path):
        super().__init__(name, path)
        self.secrets = {KEY: SECRET}
        self.denied: set[str] = set()
        self.asked: list[dict[str, Any]] = []
        self.seconds = 5.0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["raw_path"] != b"/_sagebrush/internal/grant":
            await super().__call__(scope, receive, send)
            return
        assert scope["method"] == "POST"
        assert (DIRECT_HEADER.encode(), b"1") in scope["headers"]
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        question = json.loads(body)
        self.asked.append(question)
        status, answer = self._grant(question)
        await respond(send, status, json.dumps(answer).encode())

    def _grant(self, question: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        key = question["access_key_id"]
        if question["session_token"] == "old":
            return 403, {"code": "ExpiredTokenException", "message": "too late", "status": 403}
        if key not in self.secrets:
            return 403, {"code": "InvalidClientTokenId", "message": "no such key", "status": 403}
        denied = None
        if key in self.denied:
            text = f"User: x is not authorized to perform: {question['action']} on resource: {question['resource']}"
            denied = {"code": "AccessDeniedException", "message": text, "status": 403}
        return 200, {"secret": self.secrets[key], "denied": denied, "seconds": self.seconds}


class ModelWorker:
    """One socket and the process that serves it. The socket outlives the process, as it does in a model server."""

    def __init__(self, root: Path, path: str, *, spawn: bool = True):
        self.path = path
        self.log = root / f"{path}.log"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(root / path))
        self.listening.listen(1024)
        self.process: subprocess.Popen[bytes] | None = None
        if spawn:
            self.spawn()

    def spawn(self) -> ModelWorker:
        if self.process is not None:
            self.process.wait(30)
        descriptor = self.listening.fileno()
        command = [sys.executable, "-S", str(Path(__file__).with_name("model_worker.py")), str(descriptor)]
        self.process = subprocess.Popen([*command, str(self.log)], pass_fds=(descriptor,))
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def begun(self) -> list[str]:
        """What it was told to do, in order."""
        return self.log.read_text().split() if self.log.exists() else []

    def close(self) -> None:
        self.listening.close()
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.resume()
            self.kill()


def variant(name: str = "AllTraffic", *workers: str, **changed: Any) -> dict[str, Any]:
    """A variant of a snapshot; each word in ``workers`` is the socket of a replica of its own."""
    replicas = [{"id": f"replica-{w}", "sockets": [w], "lanes": changed.pop("lanes", 1)} for w in workers]
    return {"name": name, "weight": 1.0, "timeout_seconds": 30.0, "replicas": replicas} | changed


def endpoint(name: str, *variants: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "id": f"id-{name}",
        "arn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{name}",
        "status": "InService",
        "spool": f"endpoints/{name}/spool",
        "capture": None,
        "variants": list(variants),
    } | changed


@dataclass
class Inferno:
    """Everything around one front door, in ``root``."""

    root: Path
    rules: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    workers: list[ModelWorker] = field(default_factory=list)
    version: int = 0

    def __post_init__(self) -> None:
        (self.root / "run").mkdir(exist_ok=True)
        self.front = InvokingFront(self)
        self.control = self.front.control
        self.control.start()

    def start(self) -> Inferno:
        self.front.start()
        return self

    def worker(self, name: str = "w", *, spawn: bool = True) -> ModelWorker:
        made = ModelWorker(self.root, f"endpoints/e/{name}", spawn=spawn)
        self.workers.append(made)
        return made

    def route(self, **endpoints: dict[str, Any]) -> None:
        """Publish a snapshot and wait until the front door has it."""
        self.publish(**endpoints)
        poll(lambda: self.page()["version"] == self.version, "the snapshot to be read")

    def publish(self, **endpoints: dict[str, Any]) -> None:
        self.version += 1
        document = {"version": self.version, "account": ACCOUNT, "region": REGION, "endpoints": endpoints}
        for name in endpoints:
            (self.root / f"endpoints/{name}").mkdir(parents=True, exist_ok=True)
        beside = self.root / "run" / ".endpoints.json"
        beside.write_text(json.dumps(document))
        beside.replace(self.root / "run" / "endpoints.json")

    def page(self) -> dict[str, Any]:
        """What the front door says on its routing socket."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(20)
            asking.connect(str(self.root / "run" / "routing.sock"))
            asking.sendall(b"GET /_sagebrush/routing HTTP/1.1\r\nHost: x\r\n\r\n")
            status, _, body = RawClient(asking).response()
            assert status == 200
            answer: dict[str, Any] = json.loads(body)
            return answer

    def runtime(self, key: str = KEY, secret: str = SECRET, token: str | None = None, **config: Any) -> Any:
        """boto3's client of the runtime; no retries."""
        return boto3.client(
            "sagemaker-runtime",
            endpoint_url=f"http://127.0.0.1:{self.front.port}",
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, read_timeout=30, **config),
        )

    def counts(self, name: str = "e") -> dict[str, Any]:
        """The lines of all counters of an endpoint added up; histograms as the number of their values."""
        self.page()
        total: dict[str, Any] = {}
        for file in sorted((self.root / f"endpoints/{name}/spool").glob("counters-*.jsonl")):
            for line in file.read_text().splitlines():
                for key, value in json.loads(line).items():
                    if key.endswith("latency_us"):
                        total[key] = total.get(key, 0) + sum(count for _, count in value)
                    elif isinstance(value, int) and key != "at_us":
                        total[key] = total.get(key, 0) + value
        return total

    def stop(self) -> None:
        self.front.stop()
        for worker in self.workers:
            worker.close()
        if self.control.path.exists():
            self.control.stop()


class InvokingFront(RunningFront):
    """The front door of an :class:`Inferno`."""

    control: GrantingPlane

    def __init__(self, around: Inferno):
        super().__init__(around.root, Limits(**around.limits))
        self.control = GrantingPlane("control", around.root / "c.sock")
        self._around = around

    async def _open(self) -> None:
        await super()._open()
        root = self._around.root
        page = socket.socket(socket.AF_UNIX)
        page.bind(str(root / "run" / "routing.sock"))
        page.listen(10)
        await self.door.serve_invocations(
            rules=Rules(ACCOUNT, REGION, **self._around.rules),
            snapshot=root / "run" / "endpoints.json",
            root=root,
            clock=SystemClock(),
            page=page,
        )

    def on_loop(self, question: Callable[[], Any]) -> Any:
        """Ask something on the front door's own thread."""

        async def asked() -> Any:
            return question()

        return asyncio.run_coroutine_threadsafe(asked(), self.loop).result(20)


def signed(
    body: bytes,
    name: str = "e",
    *,
    key: str = KEY,
    secret: str = SECRET,
    operation: str = "invocations",
    **headers: str,
) -> bytes:
    """A whole request to invoke, as botocore signs it."""
    named = {header.replace("_", "-"): value for header, value in headers.items()} | {"Host": "front"}
    request = AWSRequest("POST", f"http://front/endpoints/{name}/{operation}", data=body, headers=named)
    SigV4Auth(Credentials(key, secret), "sagemaker", REGION).add_auth(request)
    lines = [f"POST /endpoints/{name}/{operation} HTTP/1.1", *(f"{n}: {v}" for n, v in request.headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
