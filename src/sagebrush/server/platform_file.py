"""``run/platform.json``: what runs on a data directory, for ``status``, ``down``, ``exec`` and the next ``up``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sagebrush.substrate.processes import ProcessIdentity


@dataclass(frozen=True, slots=True)
class PlatformFile:
    """The running platform. ``processes`` maps ``front``, ``control`` and ``objects`` to their pids."""

    supervisor: ProcessIdentity
    host: str
    port: int
    version: str
    ready: bool
    started_us: int
    processes: Mapping[str, ProcessIdentity] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)

    @property
    def endpoint_url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}"

    def write(self, path: Path) -> None:
        """Replace the file at once, so that no reader sees half of it."""
        document = {
            "pid": self.supervisor.pid,
            "start_time": self.supervisor.started,
            "boot_id": self.supervisor.boot,
            "host": self.host,
            "port": self.port,
            "endpoint_url": self.endpoint_url,
            "version": self.version,
            "ready": self.ready,
            "started_us": self.started_us,
            "processes": {name: process.pid for name, process in self.processes.items()},
            "process_start_times": {name: process.started for name, process in self.processes.items()},
            "restarts": dict(self.restarts),
        }
        beside = path.with_name(path.name + ".new")
        beside.write_text(json.dumps(document, indent=1) + "\n")
        beside.replace(path)


def read(path: Path) -> PlatformFile | None:
    """What the file says, or None when it is missing or unreadable (nothing runs, or nothing we know)."""
    try:
        document = json.loads(path.read_text())
        boot = document["boot_id"]
        starts = document["process_start_times"]
        return PlatformFile(
            supervisor=ProcessIdentity(document["pid"], document["start_time"], boot),
            host=document["host"],
            port=document["port"],
            version=document["version"],
            ready=document["ready"],
            started_us=document["started_us"],
            processes={n: ProcessIdentity(pid, starts[n], boot) for n, pid in document["processes"].items()},
            restarts=document["restarts"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running(path: Path) -> PlatformFile | None:
    """The platform that runs now, or None."""
    found = read(path)
    return found if found is not None and found.supervisor.alive() else None
