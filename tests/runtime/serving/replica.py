"""A model server as the platform launches it, without a sandbox: inherited sockets, an archive, an environment."""

from __future__ import annotations

import fcntl
import io
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sagebrush.substrate.compute.environments import layers

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
        self,
        directory: Path,
        artefact: bytes | None,
        *,
        workers: int = 1,
        python: str = sys.executable,
        before: str = "",
        **environ: str,
    ):
        """``before`` is run in the server's process before it becomes the server: limits, say."""
        self.base = directory
        for name in ("model", "code", "output", "input"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        archive = directory / "input" / "model.tar.gz"
        if artefact is not None:
            archive.write_bytes(artefact)
            environ.setdefault("SAGEBRUSH_MODEL_ARCHIVE", str(archive))
        listeners = [socket.socket(socket.AF_UNIX) for _ in range(workers)]
        for number, listener in enumerate(listeners):
            listener.bind(str(directory / f"s{number}"))
            listener.listen(128)
        # Numbers above those they shall get, and free: whatever else this process has open.
        kept = [fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, 3 + workers) for listener in listeners]
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "PYTHONUNBUFFERED": "1",
            "SAGEMAKER_BASE_DIR": str(directory),
            "SAGEBRUSH_LISTEN_FDS": str(workers),
        }
        # What the shim does: the sockets as descriptors 3 and on.
        moves = "; ".join(f"os.dup2({k}, {3 + i})" for i, k in enumerate(kept))
        layers.make(directory / layers.OWN, Path(python), [Path(python).parent.parent])
        python = layers.python_of(str(directory))
        command = [python, "-m", "sagebrush.runtime.serving"]
        start = f"import os; {moves}; {before or 'pass'}; os.execv({python!r}, {command})"
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
        eventually(lambda: text in self.log, lambda: self.log)

    def workers(self) -> list[int]:
        """The processes that the server has started."""
        return children(self.process.pid)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.ended()


def children(pid: int) -> list[int]:
    """The child processes of a process with one thread."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def eventually(what: Callable[[], object], told: Callable[[], object] = str) -> None:
    """Wait until it is true."""
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, told()
        time.sleep(0.02)


def request_of(body: str | bytes, content_type: str, accept: str = "*/*", path: str = "/invocations") -> bytes:
    """As the front door sends it."""
    data = body.encode() if isinstance(body, str) else body
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nAccept: {accept}\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


def exchange(
    connection: socket.socket, body: str | bytes, content_type: str, accept: str = "*/*", path: str = "/invocations"
) -> tuple[int, bytes]:
    """One request: status and body; (0, b"") when the connection ended before an answer."""
    try:
        connection.sendall(request_of(body, content_type, accept, path))
        status, _, answer = answer_of(connection)
    except ConnectionError:
        return 0, b""
    return status, answer


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of the next answer."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(1 << 16)
        if not piece:
            return 0, {}, b""
        answer += piece
    top, _, rest = answer.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(rest) < int(headers["content-length"]):
        piece = connection.recv(1 << 20)
        assert piece, "the answer ends too early"
        rest += piece
    return int(first.split()[1]), headers, rest


def free_port() -> str:
    """A port that nobody listens on, as a variable has it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
