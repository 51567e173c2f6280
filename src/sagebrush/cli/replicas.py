"""Model servers of endpoints, when the platform stops: nobody could reach them, so they stop with it.

Their endpoints stay; the next `sagebrush up` starts the servers again. (A platform that is killed leaves them running,
and finds them again.)
"""

from __future__ import annotations

from pathlib import Path

from sagebrush.substrate.clock import Clock, SystemClock
from sagebrush.substrate.settings import Settings

#: A model server lets the requests in hand end; then its supervising process kills it.
_PATIENCE_US = 40_000_000
_POLL_US = 50_000


def end_all(settings: Settings, clock: Clock | None = None) -> int:
    """Stop every model server of this platform and wait for their ends; how many there were."""
    directories = sorted(file.parent for file in (settings.data_dir / "endpoints").glob("*/*/state.json"))
    if not directories:
        return 0
    from sagebrush.substrate.compute import Compute

    clock = clock or SystemClock()
    compute = Compute(settings)
    try:
        launcher = compute.launcher

        def running(directory: Path) -> bool:
            return launcher.observe(directory).phase in ("starting", "running")

        left = [directory for directory in directories if running(directory)]
        count = len(left)
        for directory in left:
            launcher.terminate(directory)
        until = clock.monotonic_us() + _PATIENCE_US
        while left and clock.monotonic_us() < until:
            clock.sleep_until(clock.monotonic_us() + _POLL_US)
            left = [directory for directory in left if running(directory)]
        for directory in left:
            launcher.kill(directory)
        return count
    finally:
        compute.close()
