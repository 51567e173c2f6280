"""How much a launch adds to the start of a program: submit to the first line of user code.

Both sides run the same interpreter on the same one-line program, in turn, so that the load of the machine falls on
both alike. ``bare`` starts it as a child process and reads its pipe; ``process`` and ``sandbox`` go through the
launcher: durable record, output stamping, and in the sandbox namespaces, mounts and a user of its own. ``end`` is
launch to the durable record of the end, as the control plane's watch hears of it.

    python benchmarks/launch_overhead.py [rounds]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sagebrush.substrate.compute import Compute, Environment, LaunchSpec
from sagebrush.substrate.settings import Settings

#: Monotonic time is the machine's, so the program's own reading is comparable with ours.
PROGRAM = "import time; print(time.monotonic_ns(), flush=True)"
ENVIRONMENT = Environment(
    "benchmark", Path(sys.executable), Path(sys.prefix), read_only_paths=(Path(sys.prefix), Path(sys.base_prefix))
)


def bare() -> tuple[float, float]:
    """Milliseconds to the first line of user code, and to the end."""
    start = time.monotonic_ns()
    printed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True).stdout
    return (int(printed) - start) / 1e6, (time.monotonic_ns() - start) / 1e6


def launched(compute: Compute, root: Path, number: int) -> tuple[float, float]:
    directory = root / str(number)
    (directory / "ml").mkdir(parents=True)
    spec = LaunchSpec(directory, ("python3", "-c", PROGRAM), directory / "ml", ENVIRONMENT)
    ended = threading.Event()

    def look() -> None:
        if compute.launcher.observe(directory).phase == "exited":
            ended.set()

    start = time.monotonic_ns()
    compute.launcher.launch(spec)
    compute.launcher.watch(directory, look)
    ended.wait(60)
    total = (time.monotonic_ns() - start) / 1e6
    line = (directory / "output.log").read_text().split()[1]
    return (int(line) - start) / 1e6, total


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ways: dict[str, Callable[[int], tuple[float, float]]] = {"bare": lambda _: bare()}
        computes = []
        for mode in ("process", "sandbox"):
            compute = Compute(Settings(data_dir=root / mode, isolation=mode))
            compute.isolation()
            computes.append(compute)
            ways[mode] = lambda n, c=compute, m=mode: launched(c, root / m, n)  # type: ignore[misc]
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(rounds + 3):
            for name, way in ways.items():
                sample = way(number)
                if number >= 3:
                    measured[name].append(sample)
        for compute in computes:
            compute.close()
    print(f"{rounds} rounds, interleaved; milliseconds, median (10th to 90th percentile)")
    base = statistics.median(first for first, _ in measured["bare"])
    for name, samples in measured.items():
        first, end = ([s[i] for s in samples] for i in (0, 1))
        added = statistics.median(first) - base
        print(f"{name:8} first line {_spread(first)}   end {_spread(end)}   added {added:5.1f} ms")


def _spread(values: list[float]) -> str:
    cuts = statistics.quantiles(values, n=10)
    return f"{statistics.median(values):6.1f} ({cuts[0]:.1f} to {cuts[-1]:.1f})"


if __name__ == "__main__":
    main()
