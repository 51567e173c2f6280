"""What the front door is told: stored with the change it belongs to, written to the snapshot after the commit.

The snapshot is a projection of the stored routes: whatever a kill leaves of it, the next process writes it anew.
"""

from __future__ import annotations

import threading

from sagebrush.inference import tables
from sagebrush.inference.engine import front_door, snapshot
from sagebrush.inference.engine.front_door import Routed
from sagebrush.substrate import faultpoints
from sagebrush.substrate.front_door import PAGE_SOCKET, SNAPSHOT
from sagebrush.substrate.platform import Platform

BEFORE_SNAPSHOT = faultpoints.declare("inference.before-snapshot")
AFTER_SNAPSHOT = faultpoints.declare("inference.after-snapshot")

#: Seconds: a step may not hold its thread longer.
_PATIENCE = 0.25


class Routes:
    """The one writer of the snapshot in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: int | None = None

    def publish(self, platform: Platform) -> int:
        """Let the snapshot be as new as the stored routes; their version. Writes nothing where it is already."""
        with self._lock:
            path = platform.settings.data_dir / SNAPSHOT
            if self._written is None:
                # Nobody may take a snapshot of an earlier process, or of another database, for a newer one.
                newer = snapshot.version_of(path) + 1
                if platform.store.read(tables.version) < newer:
                    platform.store.write(lambda tx: tables.raise_version(tx, newer))
            version = platform.store.read(tables.version)
            if self._written is None or version > self._written or not path.exists():
                version, endpoints = platform.store.read(tables.all_routes)
                faultpoints.reach(BEFORE_SNAPSHOT)
                snapshot.write(path, version=version, endpoints=endpoints)
                self._written = version
                faultpoints.reach(AFTER_SNAPSHOT)
            return version

    def heard(self, platform: Platform) -> Routed | None:
        """What the front door says when it goes by the newest routes; None while it does not, or is away."""
        version = self.publish(platform)
        routed = front_door.ask(platform.settings.data_dir / PAGE_SOCKET, _PATIENCE)
        return routed if routed is not None and routed.version >= version else None
