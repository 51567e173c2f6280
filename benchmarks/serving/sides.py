"""Sides of a comparison while they run: started, asked for the right answer, frozen while others are measured."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving import endpoint, installing, load, processes, programs
from benchmarks.serving.model import Model
from benchmarks.serving.peers.table import ONE_THREAD, Peer

_START_SECONDS = 180.0
NAME = "peers"


class NotMeasured(Exception):
    """This peer cannot be measured here; the text says why."""


@dataclass
class Running:
    """One side; ``samples`` collects what was measured, by number of clients."""

    name: str
    port: int
    requests: Callable[[], list[bytes]]
    counted: processes.Side
    start_seconds: float
    idle_mb: float = 0.0
    samples: dict[int, list[load.Sample]] = field(default_factory=dict)

    def freeze(self) -> None:
        processes.send(self.counted, signal.SIGSTOP)

    def thaw(self) -> None:
        processes.send(self.counted, signal.SIGCONT)

    def measure(self, clients: int, seconds: float) -> load.Sample:
        return load.run(self.port, self.requests(), clients, seconds, self.counted)


@contextlib.contextmanager
def sagebrush(model: Model) -> Iterator[Running]:
    """An endpoint of one replica with one worker: signatures verified, requests counted."""
    with endpoint.serving_platform() as serving:
        started = time.monotonic()
        serving.deploy(NAME, model.artefact(), **endpoint.ONE_WORKER)
        (request,) = serving.signed(NAME, json.dumps(model.row).encode(), 1)
        expect(serving.platform.port, request, lambda body: int(json.loads(body)["prediction"]), model)
        took = time.monotonic() - started
        if (lanes := serving.lanes(NAME)) != 1:
            raise NotMeasured(f"its endpoint has {lanes} workers, the peers have one")
        body = json.dumps(model.row).encode()
        yield Running("Sagebrush", serving.platform.port, lambda: serving.signed(NAME, body), serving.processes, took)


@contextlib.contextmanager
def started(peer: Peer, model: Model, folder: Path) -> Iterator[Running]:
    """The peer's server with the model loaded. Raises NotMeasured with the reason and the end of its log."""
    programs.require(**peer.programs)
    try:
        bin_folder = installing.environment(peer.requirements)
    except installing.NotInstalled as error:
        raise NotMeasured(str(error)) from error
    folder.mkdir()
    port = free_block()
    start = peer.prepare(bin_folder, folder, model, port)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "MODEL": str(model.path), "PORT": str(port)}
    environ |= ONE_THREAD | start.environ | {processes.MARK: peer.requirements}
    began = time.monotonic()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            start.command, cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    side: processes.Side = lambda: {process.pid, *processes.marked(peer.requirements)}  # noqa: E731
    body = json.dumps(start.body(model.row)).encode()
    request = load.http_request("POST", start.path, body, Host="127.0.0.1", Content_Type="application/json")
    try:
        try:
            expect(port, request, lambda answer: start.prediction(json.loads(answer)), model, process)
        except (TimeoutError, RuntimeError) as error:
            tail = (folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
            raise NotMeasured(f"{error}; its log ends: {''.join(tail)[-300:]}") from error
        took = time.monotonic() - began
        yield Running(peer.name, port, lambda: [request], side, took)
    finally:
        processes.send(side, signal.SIGCONT)
        processes.send(side, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        processes.send(lambda: processes.marked(peer.requirements), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def free_block(size: int = 4) -> int:
    """The first of some free ports side by side, below 32768: multi-model-server takes none above."""
    for first in range(20_000, 32_000, size):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + size):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise RuntimeError("no free ports")


def expect(
    port: int,
    request: bytes,
    prediction: Callable[[bytes], int],
    model: Model,
    process: subprocess.Popen[bytes] | None = None,
) -> None:
    """Ask until the model's own prediction comes back."""
    end = time.monotonic() + _START_SECONDS
    problem: Exception | str = ""
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}")
        try:
            if (answer := prediction(endpoint.post(port, request))) == model.prediction:
                return
            problem = f"it predicts {answer} where the model predicts {model.prediction}"
        except Exception as error:  # Whatever a server says while it starts.
            problem = error
        time.sleep(0.1)
    raise TimeoutError(f"no right answer within {_START_SECONDS:g} s: {problem}")
