"""Where this host lets us limit a job: control groups version 1 or 2, or else resource limits."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from sagebrush.substrate.compute.shim import launchfile
from sagebrush.substrate.compute.specification import Limits

_CONTROLLERS = ("memory", "cpu", "pids")


class ControlGroups:
    """The groups under which jobs get their own; found out once, by making and removing one."""

    def __init__(self, mounts: Path = Path("/proc/self/mountinfo"), membership: Path = Path("/proc/self/cgroup")):
        self._mounts = mounts
        self._membership = membership
        self._lock = threading.Lock()
        self._parents: dict[str, Path] | None = None

    def parents(self) -> dict[str, Path]:
        """``{'memory': path, 'cpu': path, 'pids': path}`` (version 1), ``{'unified': path}`` (version 2) or less."""
        with self._lock:
            if self._parents is None:
                self._parents = self._find()
            return self._parents

    def describe(self, launch: launchfile.LaunchFile, limits: Limits, directory: Path, *, own_user: bool) -> None:
        """Add the records that limit one job. ``own_user``: no other processes are counted as its user's.

        That holds in a user namespace as well: since Linux 5.14 each counts its own.
        """
        parents = self.parents()
        name = f"sagebrush-{hashlib.sha256(os.fsencode(directory.absolute())).hexdigest()[:16]}"
        launch.add("cgroup_name", name)
        launch.add("cgroup", *(f"{controller}={path}" for controller, path in parents.items()))
        launch.add("memory", limits.memory_bytes)
        launch.add("cpus_percent", int(limits.cpus * 100))
        launch.add("pids", limits.pids)
        launch.add("disk", limits.disk_bytes)
        launch.add("disk_reserve", limits.disk_reserve_bytes)
        if limits.disk_bytes:
            # Files of /dev/shm are bounded by the same number; they are memory and may be as large as that.
            launch.add("file_size", max(limits.disk_bytes, limits.memory_bytes))
        if limits.memory_bytes and not {"memory", "unified"} & set(parents):
            launch.add("address_space", limits.memory_bytes)
        if limits.pids and own_user and not {"pids", "unified"} & set(parents):
            launch.add("process_limit", limits.pids)

    def _find(self) -> dict[str, Path]:
        version_1, unified = self._mounted()
        groups = {}
        for line in self._membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(",") if controllers else ["unified"]:
                groups[controller] = path
        found: dict[str, Path] = {}
        for controller in _CONTROLLERS:
            if controller in version_1 and (own := _below(version_1[controller], groups.get(controller, "/"))):
                found[controller] = own
        found = {controller: path for controller, path in found.items() if _writable(path)}
        if "memory" not in found and unified is not None:
            parent = self._unified_parent(unified, groups.get("unified", "/"))
            if parent is not None:
                return {"unified": parent}
        return found

    def _mounted(self) -> tuple[dict[str, Path], Path | None]:
        version_1: dict[str, Path] = {}
        unified = None
        for line in self._mounts.read_text().splitlines():
            fields, _, tail = line.partition(" - ")
            point = Path(fields.split()[4])
            kind, _, options = tail.split(" ", 2)
            if kind == "cgroup":
                for option in options.split()[-1].split(","):
                    if option in _CONTROLLERS:
                        version_1[option] = point
            elif kind == "cgroup2":
                unified = point
        return version_1, unified

    def _unified_parent(self, mount: Path, group: str) -> Path | None:
        """The nearest ancestor that hands memory and pids down to its children.

        Our own group cannot: version 2 forbids processes beside limited children (but for the root of the tree).
        """
        path = _below(mount, group)
        while path is not None and path.is_relative_to(mount):
            control = path / "cgroup.subtree_control"
            enabled = set(control.read_text().split()) if control.exists() else set()
            if {"memory", "pids"} <= enabled and _writable(path):
                return path
            path = path.parent
        return None


def _below(mount: Path, group: str) -> Path | None:
    # Inside a container the mount shows only our part of the tree, while the membership may name the whole path.
    for candidate in (mount / group.lstrip("/"), mount):
        if candidate.is_dir():
            return candidate
    return None


def _writable(parent: Path) -> bool:
    """Found out by doing: read-only mounts and missing delegation look like ordinary directories."""
    probe = parent / f"sagebrush-probe-{os.getpid()}-{threading.get_ident()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True
