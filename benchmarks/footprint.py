"""``sagebrush up --detach`` → ready, and the idle memory (PSS) of the whole platform.

PSS counts shared pages once. The time is set beside a bare ``python -c pass`` times three, the least that three
processes could take. Run: ``python -m benchmarks.footprint [--runs 5]``.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.journeys.running import RunningPlatform, discard, start_platform


def main() -> None:
    """Start, measure, stop; print medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    ready, bare, memory = [], [], []
    for _ in range(runs):
        started = time.monotonic()
        platform = start_platform(SAGEBRUSH_PREBUILD_ENVIRONMENTS="false")
        ready.append(time.monotonic() - started)
        try:
            platform.client("sts").get_caller_identity()
            time.sleep(3)
            memory.append(sum(pss_mb(platform).values()))
            last = pss_mb(platform)
        finally:
            discard(platform)
        started = time.monotonic()
        for _ in range(3):
            subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.monotonic() - started)
    ratio = statistics.median(ready) / statistics.median(bare)
    print(f"up -> ready      median {statistics.median(ready):6.2f} s   {ratio:.1f} x three bare python starts")
    print(f"idle PSS         median {statistics.median(memory):6.1f} MB  (goal <= 300)")
    print("of which         " + ", ".join(f"{name} {value:.0f}" for name, value in last.items()))


def pss_mb(platform: RunningPlatform) -> dict[str, float]:
    """PSS of each process in MB."""
    sizes = {}
    for name, pid in platform.processes().items():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        (line,) = [line for line in rollup.splitlines() if line.startswith("Pss:")]
        sizes[name] = int(line.split()[1]) / 1024
    return sizes


if __name__ == "__main__":
    main()
