"""Running the object plane: uvicorn on a Unix socket, or on a port for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import uvicorn

from sagebrush.planes.objects.app import App

#: Idle connections of the front door are kept this long, in seconds.
KEEP_ALIVE = 75


def serve(app: App, socket_path: Path | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until SIGTERM or SIGINT; requests in progress are finished first."""
    where: dict[str, Any] = {"uds": str(socket_path)} if socket_path is not None else {"host": host, "port": port}
    uvicorn.run(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        backlog=2048,
        **where,
    )
