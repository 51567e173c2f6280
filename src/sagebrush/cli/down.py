"""Stop the platform in order and wait until it has stopped.

Jobs that run keep running under their own supervision, and the next `sagebrush up` picks them up. With --jobs they are
stopped first, as StopTrainingJob does (SIGTERM, time to save, SIGKILL). Endpoints stay; the servers of their models
stop, since nobody could reach them, and start again at the next `sagebrush up`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
from collections.abc import Mapping

from sagebrush.cli.finding import load_settings
from sagebrush.server.data_directory import DataDirectory
from sagebrush.server.platform_file import PlatformFile, running
from sagebrush.substrate.clock import Clock, SystemClock
from sagebrush.substrate.errors import CallerError

_STOP_SECONDS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", action="store_true", help="first stop every running job and wait for its end")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load_settings(arguments, environ).settings
    platform = running(DataDirectory(settings.data_dir).platform_file)
    if platform is None:
        print(f"Sagebrush is not running on the data directory {settings.data_dir}.")
        return 0
    from sagebrush.cli import jobs, replicas

    if arguments.jobs:
        stopped = jobs.stop_all(settings, platform)
        print(f"Stopped {_jobs(len(stopped))}.")
    left = jobs.running_jobs_if_known(settings, platform)
    _stop(platform, SystemClock())
    ended = replicas.end_all(settings)
    print("Sagebrush has stopped.")
    if ended:
        print(f"Model servers stopped: {ended}. Their endpoints stay, and start them again at the next `sagebrush up`.")
    if left:
        names = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")
        print(f"Goes on by itself, until the next `sagebrush up` picks it up: {_jobs(len(left))} ({names})")
    return 0


def _jobs(count: int) -> str:
    return "1 running job" if count == 1 else f"{count} running jobs"


def _stop(platform: PlatformFile, clock: Clock) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(platform.supervisor.pid, signal.SIGTERM)
    everything = [platform.supervisor, *platform.processes.values()]
    deadline = clock.monotonic_us() + _STOP_SECONDS * 1_000_000
    while any(process.alive() for process in everything):
        if clock.monotonic_us() > deadline:
            left = ", ".join(str(process.pid) for process in everything if process.alive())
            raise CallerError("NotStopped", f"Sagebrush did not stop within {_STOP_SECONDS} s (still there: {left}).")
        clock.sleep_until(clock.monotonic_us() + 20_000)
