"""What the front door adds to a request, against nginx in the same run.

    python -m benchmarks.serving_hop [--rounds 7] [--seconds 3] [--unpinned] [--front-only]

Claim: with every request's SigV4 verified, its variant chosen and counted, the front door adds at most twice the
median latency that nginx adds (1 client), and spends at most three times nginx's processor time (8 clients); nginx
does none of the three. Both pass the same JSON row on to the same trivial backend behind the same Unix socket;
``direct`` is that backend by itself over TCP. Everything runs on one processor, so that no wake-up crosses to another:
unpinned, the latencies of two runs differ by more than the sides do. Processor time is that of the hop alone: nginx's
processes, or all of the platform's (front, control, objects, supervisor). wrk sends 256 different signed requests.
``--front-only`` makes no endpoint but publishes a routing snapshot of its own: without consumers of the counters.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.journeys.running import free_port
from tests.journeys.serving import times

from benchmarks.serving import backend, endpoint, load, nginx, processes, programs

BODY = b"[" + b", ".join(b"%.6f" % (i / 7) for i in range(20)) + b"]"
NAME = "hop"
GOALS = {"added": 2.0, "cpu": 3.0}


@dataclass
class Hop:
    """One way to the backend; ``one`` and ``eight`` are its samples at 1 and 8 clients."""

    name: str
    port: int
    counted: processes.Side
    requests: list[bytes]
    one: list[load.Sample] = field(default_factory=list)
    eight: list[load.Sample] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--unpinned", action="store_true")
    parser.add_argument("--front-only", action="store_true")
    options = parser.parse_args()
    programs.require(nginx="nginx", wrk="wrk", taskset="util-linux")
    cpu = None if options.unpinned else max(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        hops = stack.enter_context(ways(cpu, front_only=options.front_only))
        for _ in range(options.rounds):
            for hop in hops:
                load.run(hop.port, hop.requests, 8, 1, hop.counted, cpu=cpu)
                hop.one.append(load.run(hop.port, hop.requests, 1, options.seconds, hop.counted, cpu=cpu))
                hop.eight.append(load.run(hop.port, hop.requests, 8, options.seconds, hop.counted, cpu=cpu))
        where = "unpinned" if cpu is None else f"everything on CPU {cpu}"
        print(f"The front door is {endpoint.form()}.")
        print(f"{options.rounds} rounds of {options.seconds:g} s, interleaved, {where}; medians (least to most)")
        holds = report(hops)
    sys.exit(0 if holds else 1)


@contextlib.contextmanager
def ways(cpu: int | None, *, front_only: bool) -> Iterator[list[Hop]]:
    """The three sides, running, each of which was seen to reach the backend."""
    with endpoint.serving_platform() as serving, tempfile.TemporaryDirectory() as folder:
        if front_only:
            serving.pretend(NAME)
        else:
            serving.deploy(NAME, times(1.0), **endpoint.ONE_WORKER)
        socket = serving.platform.data_dir / "endpoints" / "benchmark.sock"
        direct_port, nginx_port = free_port(), free_port()
        command = [sys.executable, "-m", "benchmarks.serving.backend", str(socket), str(direct_port)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            with nginx.proxy(Path(folder) / "nginx", socket, nginx_port) as nginx_pid:
                serving.reroute(NAME, "endpoints/benchmark.sock")
                plain = [load.http_request("POST", "/invocations", BODY, Host="b", Content_Type="application/json")]
                platform = serving.processes()
                hops = [
                    Hop("direct", direct_port, lambda: [server.pid], plain),
                    Hop("nginx", nginx_port, lambda: processes.tree([nginx_pid]), plain),
                    Hop("sagebrush", serving.platform.port, lambda: platform, serving.signed(NAME, BODY)),
                ]
                for hop in hops:
                    endpoint.until(lambda hop=hop: endpoint.post(hop.port, hop.requests[0]) == backend.BODY)
                if cpu is not None:
                    processes.pin(lambda: [server.pid, nginx_pid, *platform], cpu)
                yield hops
        finally:
            server.terminate()
            server.wait()


def report(hops: list[Hop]) -> bool:
    """Print the table and the ratios inside each round; whether the claim holds."""
    direct, proxy, ours = hops
    print(f"{'way':<11}{'p50 us, 1 client':>26}{'added us':>26}{'CPU us/request, 8 clients':>30}{'requests/s':>25}")
    for hop in hops:
        added = [mine.p50_us - base.p50_us for mine, base in zip(hop.one, direct.one, strict=True)]
        cells = [spread([s.p50_us for s in hop.one]), spread(added)]
        cells += [spread([s.cpu_us for s in hop.eight]), spread([s.rate for s in hop.eight], 0)]
        print(f"{hop.name:<11}{cells[0]:>26}{cells[1]:>26}{cells[2]:>30}{cells[3]:>25}")
    errors = sum(sample.errors for hop in hops for sample in (*hop.one, *hop.eight))
    rounds = zip(ours.one, proxy.one, direct.one, strict=True)
    added = [(mine.p50_us - base.p50_us) / (peer.p50_us - base.p50_us) for mine, peer, base in rounds]
    cpu = [mine.cpu_us / peer.cpu_us for mine, peer in zip(ours.eight, proxy.eight, strict=True)]
    print(f"errors                                {errors}")
    print(f"added p50, sagebrush / nginx          {spread(added, 2)}   goal <= {GOALS['added']:g}")
    print(f"CPU per request, sagebrush / nginx    {spread(cpu, 2)}   goal <= {GOALS['cpu']:g}")
    holds = statistics.median(added) <= GOALS["added"] and statistics.median(cpu) <= GOALS["cpu"] and not errors
    print("claim:", "holds" if holds else "DOES NOT HOLD")
    return holds


def spread(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
