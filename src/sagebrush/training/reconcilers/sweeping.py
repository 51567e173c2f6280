"""Directories that ended jobs left because the platform was killed before it had removed them."""

from __future__ import annotations

import logging
import threading
from functools import partial

from sqlalchemy import Connection

from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import Row, fetch_by_id
from sagebrush.training.model.phases import TERMINAL
from sagebrush.training.reconcilers.ending import remove_directory
from sagebrush.training.resources import TRAINING_JOB

_log = logging.getLogger(__name__)


class Sweeper:
    """Looks once in a process's life, in the background."""

    def __init__(self) -> None:
        self._begun = threading.Lock()

    def begin(self, platform: Platform) -> None:
        """Start sweeping unless that was done before."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._run, args=(platform,), name="training-sweeper", daemon=True).start()

    def _run(self, platform: Platform) -> None:
        try:
            sweep(platform)
        except Exception:
            _log.exception("left job directories could not be swept")


def sweep(platform: Platform) -> int:
    """Remove the directories of training jobs that ended or are gone; the number removed."""
    root = platform.settings.data_dir / "jobs"
    removed = 0
    for directory in sorted(root.iterdir()) if root.is_dir() else []:
        try:
            row = platform.store.read(partial(_row, directory.name))
            if row is None or (row.kind == TRAINING_JOB.kind and row.status in TERMINAL):
                remove_directory(platform, directory.name)
                removed += not directory.exists()
        except Exception:
            # One bad directory must not keep the rest.
            _log.exception("the directory %s could not be swept", directory)
    return removed


def _row(resource_id: str, conn: Connection) -> Row | None:
    return fetch_by_id(conn, resource_id)
