"""Running an ASGI application under uvicorn on a Unix socket of the data directory."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any, Final, Literal

import uvicorn

from sagebrush.server.data_directory import take_lock
from sagebrush.server.process import settle
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import Fault

#: Idle connections are the front door's to close: it keeps them in a pool.
_KEEP_ALIVE_SECONDS: Final = 24 * 3600
_SHUTDOWN_SECONDS: Final = 8
_PREDECESSOR_SECONDS: Final = 30


def wait_for_predecessor(name: str, clock: Clock) -> int:
    """Hold ``run/<name>.lock`` from now to the process's end: never two of a kind on one data directory.

    Returns the descriptor that holds it. Waits for a predecessor that is still stopping; raises Fault if it stays.
    """
    deadline = clock.monotonic_us() + _PREDECESSOR_SECONDS * 1_000_000
    while (lock := take_lock(Path("run") / f"{name}.lock")) is None:
        if clock.monotonic_us() > deadline:
            raise Fault(f"another {name} process holds run/{name}.lock and does not end")
        clock.sleep_until(clock.monotonic_us() + 20_000)
    return lock


def listen(path: Path) -> socket.socket:
    """A listening Unix socket at ``path``, visible only once it accepts: the front door must never meet a dead one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(beside))
    beside.chmod(0o600)
    listening.listen(1024)
    beside.replace(path)
    return listening


def serve(app: Any, path: Path, *, lifespan: Literal["on", "off"]) -> None:
    """Serve ``app`` until SIGTERM; current requests end, then it returns."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        interface="asgi3",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    # uvicorn raises the signal that stopped it once more when it is done; what comes after is ours to do.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = uvicorn.Server(config)
    listening = listen(path)
    settle()
    try:
        server.run([listening])
    finally:
        path.unlink(missing_ok=True)
