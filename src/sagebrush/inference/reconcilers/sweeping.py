"""Directories and processes of replicas that nobody knows of: what a kill, or a database put back, left behind."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.model import routing
from sagebrush.inference.reconcilers.deployment import RUNNING, endpoints_directory
from sagebrush.substrate.compute.removal import remove_tree
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import fetch_by_id

_log = logging.getLogger(__name__)

_LOOKS, _PAUSE_US = 100, 100_000


class Sweeper:
    """Looks once in a process's life, in the background."""

    def __init__(self) -> None:
        self._begun = threading.Lock()

    def begin(self, platform: Platform) -> None:
        """Start sweeping unless that was done before."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._run, args=(platform,), name="inference-sweeper", daemon=True).start()

    def _run(self, platform: Platform) -> None:
        try:
            sweep(platform)
        except Exception:
            _log.exception("left directories of endpoints could not be swept")


def sweep(platform: Platform) -> int:
    """End and remove replicas that have no record, and endpoints that are gone; the number of directories removed."""
    root = endpoints_directory(platform.settings.data_dir)
    removed = 0
    for endpoint in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            # A record is there before its directory: what is listed and has none is nobody's.
            known = platform.store.read(partial(_is_known, endpoint.name))
            spool = platform.settings.data_dir / routing.spool(endpoint.name)
            replicas = [path for path in sorted(endpoint.iterdir()) if path != spool and path.is_dir()]
            for replica in replicas:
                if not known or platform.store.read(partial(tables.find_replica, replica_id=replica.name)) is None:
                    _end(platform, replica)
                    remove_tree(replica)
                    removed += 1
            if not known:
                remove_tree(endpoint)
                removed += 1
        except Exception:
            # One bad directory must not keep the rest.
            _log.exception("the directory %s could not be swept", endpoint)
    return removed


def _is_known(endpoint_id: str, conn: Connection) -> bool:
    return fetch_by_id(conn, endpoint_id) is not None


def _end(platform: Platform, directory: Path) -> None:
    launcher, clock = platform.compute.launcher, platform.clock
    for _ in range(_LOOKS):
        if launcher.observe(directory).phase not in RUNNING:
            return
        launcher.kill(directory)
        clock.sleep_until(clock.monotonic_us() + _PAUSE_US)
    raise TimeoutError(f"{directory} does not end")
