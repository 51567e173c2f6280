"""What runs: the processes with their memory and restarts, the jobs, and what the data directory holds.

Exit code 0: ready; 1: running, but not answering; 3: not running.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sagebrush.cli.finding import load_settings
from sagebrush.server import platform_file, probing
from sagebrush.server.data_directory import DataDirectory
from sagebrush.substrate.processes import ProcessIdentity
from sagebrush.substrate.settings import Settings

NOT_RUNNING = 3


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process. ``memory_mib`` is its proportional share (PSS), None where the system does not tell."""

    name: str
    pid: int
    alive: bool
    memory_mib: float | None
    restarts: int


@dataclass(frozen=True, slots=True)
class Status:
    """What ``sagebrush status`` tells; jobs and endpoints are None when the platform does not answer."""

    ready: bool
    endpoint_url: str
    data_dir: str
    version: str
    data_mib: float
    processes: list[ProcessStatus]
    warm_interpreters: list[ProcessStatus]
    running_jobs: list[str] | None
    endpoints: dict[str, str] | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", "-q", action="store_true", help="print nothing; the exit code tells")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load_settings(arguments, environ).settings
    platform = platform_file.running(DataDirectory(settings.data_dir).platform_file)
    if platform is None:
        if not arguments.quiet:
            print(
                json.dumps({"ready": False, "data_dir": str(settings.data_dir)})
                if arguments.json
                else f"Sagebrush is not running on the data directory {settings.data_dir}."
            )
        return NOT_RUNNING
    host = "127.0.0.1" if platform.host in ("0.0.0.0", "::") else platform.host
    ready = platform.ready and probing.health((host, platform.port))
    if not arguments.quiet:
        status = _gather(settings, platform, ready)
        print(json.dumps(asdict(status), indent=1) if arguments.json else _as_text(status))
    return 0 if ready else 1


def _gather(settings: Settings, platform: platform_file.PlatformFile, ready: bool) -> Status:
    from sagebrush.cli import jobs
    from sagebrush.substrate.compute.zygotes import zygotes_of

    members = {"supervisor": platform.supervisor, **platform.processes}
    control = platform.processes.get("control")
    warm = zygotes_of(control.pid) if control is not None else {}
    return Status(
        ready=ready,
        endpoint_url=platform.endpoint_url,
        data_dir=str(settings.data_dir),
        version=platform.version,
        data_mib=_mib(_size(settings.data_dir)),
        processes=[_process(name, identity, platform.restarts.get(name, 0)) for name, identity in members.items()],
        warm_interpreters=[ProcessStatus(name, pid, True, _memory_mib(pid), 0) for pid, name in warm.items()],
        running_jobs=jobs.running_jobs(settings, platform) if ready else None,
        endpoints=jobs.endpoints(settings, platform) if ready else None,
    )


def _process(name: str, identity: ProcessIdentity, restarts: int) -> ProcessStatus:
    return ProcessStatus(name, identity.pid, identity.alive(), _memory_mib(identity.pid), restarts)


def _memory_mib(pid: int) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("Pss:")), None)


def _size(directory: Path) -> int:
    """Bytes of every file below ``directory``; what vanishes meanwhile does not count."""
    total = 0
    pending = [directory]
    while pending:
        try:
            for entry in pending.pop().iterdir():
                if entry.is_symlink():
                    continue
                if entry.is_dir():
                    pending.append(entry)
                else:
                    total += entry.stat().st_size
        except OSError:
            continue
    return total


def _mib(size: int) -> float:
    return round(size / (1024 * 1024), 1)


def _named(names: list[str]) -> str:
    """The first few names in brackets, with a space before; '' for none."""
    return f" ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})" if names else ""


def _as_text(status: Status) -> str:
    state = "is ready at" if status.ready else "is running but not answering at"
    lines = [
        f"Sagebrush {status.version} {state} {status.endpoint_url}",
        f"  data         {status.data_dir} ({status.data_mib:g} MiB)",
    ]
    if status.running_jobs is not None:
        lines.append(f"  jobs         {len(status.running_jobs)} running{_named(status.running_jobs)}")
    if status.endpoints:
        told = [name if state == "InService" else f"{name}: {state}" for name, state in status.endpoints.items()]
        serving = sum(state == "InService" for state in status.endpoints.values())
        lines.append(f"  endpoints    {serving} in service{_named(told)}")
    for process in status.processes:
        memory = "" if process.memory_mib is None else f"{process.memory_mib:7.1f} MiB"
        restarts = f"   restarted {process.restarts} times" if process.restarts else ""
        ended = "" if process.alive else "   ENDED"
        lines.append(f"  {process.name:<12} pid {process.pid:<8}{memory}{restarts}{ended}")
    for each in status.warm_interpreters:
        # Beside the platform's own: jobs share these pages, and they are given back after a while.
        memory = "" if each.memory_mib is None else f"{each.memory_mib:7.1f} MiB"
        lines.append(f"  {'warm':<12} pid {each.pid:<8}{memory}   {each.name}")
    return "\n".join(lines)
