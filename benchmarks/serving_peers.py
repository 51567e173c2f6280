"""One scikit-learn model behind Sagebrush and behind other model servers, in the same run.

    python -m benchmarks.serving_peers [--rounds 3] [--seconds 5] [--only NAME ...]

Claim: an endpoint with one worker, every request signed, verified and counted, answers more requests per second, with
a lower median latency, than each of FastAPI+uvicorn, BentoML, MLServer, LitServe, multi-model-server and Ray Serve
(HAProxy mode), at 1, 8 and 64 clients; and the processor time it spends at 8 clients beyond the model itself is at most
0.6 of what FastAPI spends. ``bare`` is the model itself: the same code called in a loop, without a server.

The work is a JSON row of 20 numbers -> LogisticRegression.predict -> one number, with one model worker, one BLAS thread
and access logs off on every side (``benchmarks/serving/peers`` has the settings). wrk replays prepared requests over
keep-alive connections, to all sides alike: Sagebrush's are 256 different signed ones. Sides take turns, those not under
test are stopped (SIGSTOP). Processor time is that of a side's whole process tree: for Sagebrush the platform with the
replica. All run in a network namespace of their own, since Ray listens on every interface. A peer that cannot be
installed or started is named with the reason.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.serving import endpoint, installing, load, model, processes, programs, sides
from benchmarks.serving.peers.table import FASTAPI, PEERS
from sagebrush.substrate.compute.shim import kernel, network

CLIENTS = (1, 8, 64)
CPU_GOAL = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    options = parser.parse_args()
    programs.require(wrk="wrk")
    with tempfile.TemporaryDirectory(prefix="sb-peers-") as folder, contextlib.ExitStack() as stack:
        fitted = model.make(Path(folder))
        refused = prepare_peers(options.only)
        running, bare = [], []
        for peer in PEERS:
            if peer.name in options.only and peer.name not in refused:
                started = sides.started(peer, fitted, Path(folder) / peer.requirements)
                if (side := begin(stack, peer.name, started, refused)) is not None:
                    running.append(side)
        ours = begin(stack, "Sagebrush", sides.sagebrush(fitted), refused)
        if ours is not None:
            running.append(ours)
        for number in range(options.rounds):
            bare.append(fitted.bare_cpu_us())
            # Each round begins with another side: what heats up or wears off falls on all alike.
            for side in running[number % len(running) :] + running[: number % len(running)]:
                measure(side, options.seconds)
        print(f"The front door is {endpoint.form()}.")
        print(f"{options.rounds} rounds of {options.seconds:g} s, sides interleaved; medians (least to most)")
        holds = report(running, bare, refused)
    sys.exit(0 if holds else 1)


def prepare_peers(wanted: list[str]) -> dict[str, str]:
    """Install while there is a network, then leave it; the peers that cannot take part, and why."""
    refused = {}
    for peer in PEERS:
        if peer.name in wanted:
            try:
                installing.environment(peer.requirements)
                programs.require(**peer.programs)
            except installing.NotInstalled as error:
                refused[peer.name] = str(error)
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        network.raise_loopback()
    except OSError as error:
        refused["Ray Serve (HAProxy)"] = f"it listens on every interface, and a network of its own is refused: {error}"
    return refused


def begin(
    stack: contextlib.ExitStack,
    name: str,
    started: contextlib.AbstractContextManager[sides.Running],
    refused: dict[str, str],
) -> sides.Running | None:
    """Start one side, look at its memory, and freeze it; None where it cannot be measured."""
    try:
        side = stack.enter_context(started)
    except (sides.NotMeasured, RuntimeError, TimeoutError) as error:
        refused[name] = str(error)
        return None
    time.sleep(2)
    side.idle_mb = processes.pss_mb(side.counted)
    # Whatever happens, nothing frozen is left behind.
    stack.callback(side.thaw)
    side.freeze()
    print(f"{name} is up after {side.start_seconds:.1f} s, {side.idle_mb:.0f} MB", file=sys.stderr, flush=True)
    return side


def measure(side: sides.Running, seconds: float) -> None:
    side.thaw()
    try:
        side.measure(8, min(2.0, seconds))
        for clients in CLIENTS:
            side.samples.setdefault(clients, []).append(side.measure(clients, seconds))
    finally:
        side.freeze()


def report(running: list[sides.Running], bare: list[float], refused: dict[str, str]) -> bool:
    """Print every side's figures, then Sagebrush's ratio to each peer inside the same round."""
    print(f"bare handler: {spread(bare)} us of processor time for one call; {os.cpu_count()} processors\n")
    head = f"{'':<21}{'clients':>8}{'requests/s':>22}{'p50 ms':>26}{'p99 ms':>9}{'CPU us/request':>24}{'errors':>8}"
    print(head)
    for side in running:
        for clients, samples in side.samples.items():
            cells = [spread([s.rate for s in samples]), spread([s.p50_us / 1000 for s in samples], 2)]
            p99, cpu = statistics.median(s.p99_us for s in samples) / 1000, spread([s.cpu_us for s in samples])
            name = side.name if clients == CLIENTS[0] else ""
            errors = sum(s.errors for s in samples)
            print(f"{name:<21}{clients:>8}{cells[0]:>22}{cells[1]:>26}{p99:>9.2f}{cpu:>24}{errors:>8}")
        print(f"{'':<21}{'':>8}  start {side.start_seconds:.1f} s, idle memory {side.idle_mb:.0f} MB")
    for name, reason in refused.items():
        print(f"NOT MEASURED {name}: {reason}")
    ours = next((side for side in running if side.name == "Sagebrush"), None)
    if ours is None:
        print("claim: NOT SHOWN, Sagebrush was not measured")
        return False
    holds = compare(ours, [side for side in running if side is not ours], bare)
    errors = sum(s.errors for samples in ours.samples.values() for s in samples)
    complete = len(running) > 1 and not refused and not errors
    print("claim:", "holds" if holds and complete else "DOES NOT HOLD" if not holds or errors else "NOT SHOWN in full")
    return holds and complete


def compare(ours: sides.Running, peers: list[sides.Running], bare: list[float]) -> bool:
    print("\nSagebrush to each peer: requests/s and p50 at 1, 8, 64 clients; CPU beyond the bare handler at 8")
    holds = True
    for peer in peers:
        rates, latencies = ([ratios(ours, peer, clients, of) for clients in CLIENTS] for of in (rate_of, p50_of))
        beyond = [
            (mine.cpu_us - base) / (theirs.cpu_us - base)
            for mine, theirs, base in zip(ours.samples[8], peer.samples[8], bare, strict=True)
        ]
        goal = f"   goal <= {CPU_GOAL:g}" if peer.name == FASTAPI else ""
        print(
            f"{peer.name:<21} requests/s x {cells(rates)}   p50 x {cells(latencies)}   CPU x {spread(beyond, 2)}{goal}"
        )
        holds = holds and min(map(statistics.median, rates)) > 1 and max(map(statistics.median, latencies)) < 1
        holds = holds and (not goal or statistics.median(beyond) <= CPU_GOAL)
    return holds


def rate_of(sample: load.Sample) -> float:
    return sample.rate


def p50_of(sample: load.Sample) -> float:
    return sample.p50_us


def ratios(ours: sides.Running, peer: sides.Running, clients: int, of: object) -> list[float]:
    assert callable(of)
    return [of(mine) / of(theirs) for mine, theirs in zip(ours.samples[clients], peer.samples[clients], strict=True)]


def cells(values: list[list[float]]) -> str:
    return " ".join(f"{statistics.median(v):.2f}" for v in values)


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
