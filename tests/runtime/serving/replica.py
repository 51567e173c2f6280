"""A model server as the platform launches it, without a sandbox: inherited sockets, an archive, an environment."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"


def archive_of(files: Mapping[str, str | bytes]) -> bytes:
    """A gzipped tar of these files; those without a suffix are executable."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = 0o644 if "." in name else 0o755
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Replica:
    """One running model server."""

    def __init__(
        self, directory: Path, artefact: bytes, *, workers: int = 1, python: str = sys.executable, **environ: str
    ):
        self.base = directory
        for name in ("model", "code", "output", "input"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        archive = directory / "input" / "model.tar.gz"
        archive.write_bytes(artefact)
        listeners = [socket.socket(socket.AF_UNIX) for _ in range(workers)]
        for number, listener in enumerate(listeners):
            listener.bind(str(directory / f"s{number}"))
            listener.listen(128)
        kept = [os.dup2(listener.fileno(), 200 + i) for i, listener in enumerate(listeners)]
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "PYTHONUNBUFFERED": "1",
            "SAGEMAKER_BASE_DIR": str(directory),
            "SAGEBRUSH_LISTEN_FDS": str(workers),
            "SAGEBRUSH_MODEL_ARCHIVE": str(archive),
        }
        # What the shim does: the sockets as descriptors 3 and on.
        moves = "; ".join(f"os.dup2({200 + i}, {3 + i})" for i in range(workers))
        start = f"import os; {moves}; os.execv({python!r}, [{python!r}, '-m', 'sagebrush.runtime.serving'])"
        self._log = (directory / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", start],
            env=variables | environ,
            pass_fds=kept,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        for descriptor in kept:
            os.close(descriptor)
        for listener in listeners:
            listener.close()

    @property
    def log(self) -> str:
        return (self.base / "log").read_text()

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()

    def connect(self, worker: int = 0) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(str(self.base / f"s{worker}"))
        return connection

    def ask(
        self,
        body: str | bytes,
        content_type: str = "application/json",
        accept: str = "*/*",
        *,
        worker: int = 0,
        path: str = "/invocations",
    ) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body; (0, b"") when the worker ended meanwhile."""
        with self.connect(worker) as connection:
            return exchange(connection, body, content_type, accept, path)

    def close(self) -> None:
        """End everything: a model server that is told to ends its own children, one that is killed cannot."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def ended(self) -> int:
        """Wait for the end of the server; its exit code."""
        return self.process.wait(60)

    def wait_for_log(self, text: str) -> None:
        end = time.monotonic() + 60
        while text not in self.log:
            assert time.monotonic() < end, self.log
            time.sleep(0.02)


def exchange(
    connection: socket.socket, body: str | bytes, content_type: str, accept: str = "*/*", path: str = "/invocations"
) -> tuple[int, bytes]:
    data = body.encode() if isinstance(body, str) else body
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nAccept: {accept}\r\n"
    connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(1 << 16)
        if not piece:
            return 0, b""
        answer += piece
    top, _, rest = answer.partition(b"\r\n\r\n")
    lines = top.split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:"))
    while len(rest) < length:
        rest += connection.recv(1 << 20)
    return int(lines[0].split()[1]), rest
