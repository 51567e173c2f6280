"""The load generator of all sides: wrk with keep-alive connections, replaying raw requests in turn."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import processes

_SCRIPT = Path(__file__).with_name("replay.lua")


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of load against one side. ``cpu_us`` is the side's own processor time for each request."""

    clients: int
    requests: int
    seconds: float
    errors: int
    p50_us: float
    p99_us: float
    cpu_us: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def http_request(method: str, path: str, body: bytes, **headers: str) -> bytes:
    """A raw HTTP/1.1 request; underscores in header names stand for hyphens."""
    lines = [f"{method} {path} HTTP/1.1", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(
    port: int,
    requests: Sequence[bytes],
    clients: int,
    seconds: float,
    counted: processes.Side,
    *,
    cpu: int | None = None,
) -> Sample:
    """Load 127.0.0.1:port from ``clients`` connections in a closed loop. ``cpu`` pins the generator."""
    with tempfile.NamedTemporaryFile(suffix=".requests") as file:
        file.write(b"".join(b"%d\n%s" % (len(request), request) for request in requests))
        file.flush()
        command = ["taskset", "-c", str(cpu)] if cpu is not None else []
        command += [
            "wrk",
            "-t1",
            f"-c{clients}",
            f"-d{seconds:g}s",
            "--timeout",
            "30s",
            "--latency",
            "-s",
            str(_SCRIPT),
        ]
        command += [f"http://127.0.0.1:{port}", "--", file.name]
        before = processes.cpu_seconds(counted)
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        spent = processes.cpu_seconds(counted) - before
    (line,) = [line for line in printed.splitlines() if line.startswith("RESULT ")]
    count, duration, errors, p50, p99 = (float(word) for word in line.split()[1:])
    if not count:
        raise RuntimeError(f"no answer from port {port}:\n{printed}")
    return Sample(clients, int(count), duration / 1e6, int(errors), p50, p99, spent / count * 1e6)
