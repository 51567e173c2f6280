"""Compute: one handle on everything that running jobs on this host takes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sagebrush.substrate.compute import host, probing
from sagebrush.substrate.compute.capacity import Capacity
from sagebrush.substrate.compute.environments import Environments
from sagebrush.substrate.compute.instances import Catalogue
from sagebrush.substrate.compute.isolation import Isolation, Mode
from sagebrush.substrate.compute.launcher import Launcher
from sagebrush.substrate.compute.limits import ControlGroups
from sagebrush.substrate.compute.zygotes import Zygotes
from sagebrush.substrate.settings import Settings


class Compute:
    """Constructed once by ``server``. Nothing is probed, built or started before it is asked for."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._groups = ControlGroups()
        self._isolation = Isolation(settings.isolation, self._try_sandbox, probing.try_network)
        self.instances = Catalogue()
        self.capacity = Capacity(
            settings.capacity_cpus or host.cpus(),
            settings.capacity_memory_gib or host.memory_gib(),
            strict=settings.instances == "strict",
        )
        self.zygotes = Zygotes(settings.warm_idle_minutes * 60)
        self.launcher = Launcher(self._isolation, self._groups, self.zygotes)
        directory = Path(settings.environments_dir).expanduser() if settings.environments_dir else None
        self.environments = Environments(
            directory or settings.data_dir / "environments", exact=settings.image_versions == "exact"
        )

    @property
    def masked(self) -> tuple[Path, ...]:
        """What no job may see: the platform's data and people's homes."""
        home = Path("~").expanduser()
        # The "home" of a service account can be / or a directory of the system.
        homes = [home] if home.is_absolute() and len(home.parts) > 2 else []
        # Under /run the host's services have their sockets, and a user may have groups that open some (docker's).
        return (self._settings.data_dir, Path("/root"), Path("/home"), Path("/run"), Path("/var/run"), *homes)

    def isolation(self) -> Mode:
        """How jobs run here, found out by doing on the first call. See :meth:`Isolation.mode`."""
        return self._isolation.mode()

    def private_network(self) -> bool:
        """Whether ``LaunchSpec.private_network`` is obeyed on this host, found out by doing on the first call."""
        return self._isolation.private_network()

    def network_isolation_problem(self) -> str:
        """Why no job can be kept off the network here; '' when it can be. Found out by doing on the first call."""
        return self._isolation.isolated_network_problem()

    def disk_free_bytes(self) -> int:
        """What jobs may still take of the disk that the data directory is on: free space less the reserve."""
        status = os.statvfs(self._settings.data_dir)
        return status.f_bavail * status.f_frsize - self.disk_reserve_bytes

    @property
    def disk_reserve_bytes(self) -> int:
        """What must stay free on the disk that the data directory is on, whatever jobs write."""
        return int(self._settings.disk_reserve_gib * 2**30)

    def isolation_problem(self) -> str:
        """Why jobs run without a sandbox although one was wanted; '' when they do not."""
        return self._isolation.problem if self.isolation() == "process" else ""

    def probe(self) -> list[probing.Check]:
        """For ``doctor``: what this host lets us do, each found out by doing it."""
        return probing.probe(self._settings, self._isolation, self._groups)

    def close(self) -> None:
        """Let go of threads and descriptors. Jobs go on."""
        self.launcher.close()

    def _try_sandbox(self, isolation: Isolation, directory: Path) -> str:
        return probing.try_sandbox(Launcher(isolation, self._groups), directory, deadline=time.monotonic() + 20)
