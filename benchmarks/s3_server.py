"""CPU that the S3 server spends, against moto's server in the same run.

    python benchmarks/s3_server.py [--rounds N]

Claim: per GiB put in parts and got back, and per 1,000 small objects put and got back, Sagebrush's object plane spends
at most half of the processor time of moto server 5.2.5. Both are driven by the same boto3 client over HTTP on this
machine, in turns. Sagebrush runs as it does in production: every signature verified, every payload hashed, every
write durable before it is acknowledged. moto server runs as its documentation says; it verifies nothing and keeps
everything in memory. Processor time is that of the server's process, all its threads, as the kernel counts it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.aws.s3.running import start_plane  # noqa: E402

MOTO = "moto[server]==5.2.5"
MOTO_HOME = ROOT / "build" / "benchmarks" / "moto"
BIG = 256 << 20
SMALL = 10 << 10
OBJECTS = 1000


@dataclass
class Server:
    """A server under measurement; ``seconds`` collects processor seconds by workload."""

    name: str
    process: subprocess.Popen[Any]
    client: Any
    stop: Callable[[], None]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def cpu(self) -> float:
        """Processor seconds so far, of all threads, those that have ended included."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def measure(self, workload: str, work: Callable[[Any], None]) -> None:
        """Run ``work`` with the client and note what it cost the server."""
        before = self.cpu()
        work(self.client)
        self.seconds.setdefault(workload, []).append(self.cpu() - before)


def sagebrush(folder: Path) -> Server:
    """The object plane on a data directory of its own."""
    plane = start_plane(folder / "data")
    return Server("sagebrush", plane.process, plane.client(max_pool_connections=20), plane.stop)


def moto(folder: Path) -> Server:
    """moto's server in a virtual environment of its own, made when it is missing."""
    program = MOTO_HOME / "bin" / "moto_server"
    if not program.exists():
        venv.create(MOTO_HOME, with_pip=True)
        subprocess.run([MOTO_HOME / "bin" / "pip", "install", "--quiet", MOTO], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "moto.log").open("w") as log:
        process = subprocess.Popen([program, "-p", str(port)], stdout=log, stderr=log)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            if process.poll() is not None:
                raise RuntimeError((folder / "moto.log").read_text()) from None
            time.sleep(0.05)
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=20),
    )

    def stop() -> None:
        process.terminate()
        process.wait()

    return Server("moto", process, client, stop)


def workloads(folder: Path) -> dict[str, Callable[[Any], None]]:
    """What both servers are asked to do, in order."""
    source, target = folder / "source", folder / "target"
    source.write_bytes(os.urandom(1 << 20) * (BIG >> 20))
    small = os.urandom(SMALL)

    def put_small(client: Any) -> None:
        for number in range(OBJECTS):
            client.put_object(Bucket="bench", Key=f"small/{number:05d}", Body=small)

    def get_small(client: Any) -> None:
        for number in range(OBJECTS):
            client.get_object(Bucket="bench", Key=f"small/{number:05d}")["Body"].read()

    return {
        "multipart put": lambda client: client.upload_file(str(source), "bench", "big"),
        "multipart get": lambda client: client.download_file("bench", "big", str(target)),
        "small put": put_small,
        "small get": get_small,
    }


def report(ours: Server, theirs: Server) -> bool:
    """Print medians, spread and ratios, each way and there and back; whether the claim holds."""
    print(f"{'workload':<20}{'unit':<18}{'sagebrush CPU s':>24}{'moto CPU s':>24}{'ratio':>8}")
    holds = True
    for size, unit, scale in (
        ("multipart", "per GiB", (1 << 30) / BIG),
        ("small", "per 1,000 objects", 1000 / OBJECTS),
    ):
        both = {server.name: [0.0] * len(server.seconds[f"{size} put"]) for server in (ours, theirs)}
        for way in ("put", "get"):
            rounds = {server.name: [s * scale for s in server.seconds[f"{size} {way}"]] for server in (ours, theirs)}
            both = {name: [a + b for a, b in zip(both[name], rounds[name], strict=True)] for name in both}
            print_row(f"{size} {way}", unit, rounds)
        holds = print_row(f"{size} put + get", unit, both) <= 0.5 and holds
    print("claim (put + get: each ratio at most 0.50):", "holds" if holds else "DOES NOT HOLD")
    return holds


def print_row(workload: str, unit: str, rounds: dict[str, list[float]]) -> float:
    """One line of the table; the ratio of the medians."""
    medians = [statistics.median(values) for values in rounds.values()]
    cells = [
        f"{median:.2f} ({min(values):.2f}-{max(values):.2f})"
        for median, values in zip(medians, rounds.values(), strict=True)
    ]
    ratio = medians[0] / medians[1]
    print(f"{workload:<20}{unit:<18}{cells[0]:>24}{cells[1]:>24}{ratio:>8.2f}")
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="sagebrush-s3-bench-"))
    servers: list[Server] = []
    try:
        for start in (sagebrush, moto):
            servers.append(start(folder))
            servers[-1].client.create_bucket(Bucket="bench")
        for _ in range(rounds):
            for workload, work in workloads(folder).items():
                for server in servers:
                    server.measure(workload, work)
        holds = report(*servers)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder)
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
