"""Stands in for the front door: reads the routing snapshot as the contract says and answers on routing.sock."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any


class FakeFront:
    """A front door that routes nothing: ``outstanding`` is what a test says, ``seen`` every snapshot it read."""

    def __init__(self, data_dir: Path):
        self.snapshot = data_dir / "run" / "endpoints.json"
        self.outstanding: dict[str, int] = {}
        self.seen: list[dict[str, Any]] = []
        self.deaf = False
        page = data_dir / "run" / "routing.sock"
        page.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        page.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        folder = os.open(page.parent, os.O_PATH)
        self._listening.bind(f"/proc/self/fd/{folder}/{page.name}")
        os.close(folder)
        self._listening.listen(64)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def version(self) -> int:
        return int(self.seen[-1]["version"]) if self.seen else 0

    def look(self) -> dict[str, Any]:
        """Read the snapshot now; every endpoint of it."""
        if self.snapshot.exists():
            read = json.loads(self.snapshot.read_text())
            if read["version"] != self.version:
                assert read["version"] > self.version, "versions only grow"
                self.seen.append(read)
        endpoints: dict[str, Any] = self.seen[-1]["endpoints"] if self.seen else {}
        return endpoints

    def replicas(self, name: str) -> list[str]:
        """The ids of the replicas that are routed now."""
        entry = self.look().get(name, {"variants": []})
        return [replica["id"] for variant in entry["variants"] for replica in variant["replicas"]]

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                head = connection.recv(65536)
                assert head.startswith(b"GET /_sagebrush/routing ")
                if self.deaf:
                    continue
                self.look()
                body = json.dumps({"version": self.version, "outstanding": self.outstanding}).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
