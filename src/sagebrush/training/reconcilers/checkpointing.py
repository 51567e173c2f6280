"""The checkpoints of jobs in hand: restored at the start, uploaded beside the steps, completed at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sagebrush.substrate.compute.user_files import Folder
from sagebrush.substrate.errors import Cancelled, Refused
from sagebrush.substrate.objects import locations
from sagebrush.training.engine.artefacts import volume_bytes
from sagebrush.training.engine.checkpoints import Checkpoints
from sagebrush.training.engine.opt_ml import checkpoint_path
from sagebrush.training.reconcilers.job import Job

INTERVAL_US = 5_000_000


class Checkpointing:
    """Remembers what was uploaded; forgetting it (a restart) costs one more upload of the same bytes."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="checkpoints")
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int, str], Checkpoints] = {}
        self._running: dict[tuple[str, int, str], Future[int]] = {}
        self._broken_off: dict[tuple[str, int, str], threading.Event] = {}
        self._last_us: dict[str, int] = {}

    def restore(self, job: Job, host: str) -> None:
        """Bring a host's checkpoints from S3, where the job has any. Raises Refused, Cancelled."""
        if checkpoints := self._of(job, host):
            checkpoints.restore(job.start_check())

    def upload_sometimes(self, job: Job) -> None:
        """Begin an upload in the background when it is time for one and none is on its way."""
        if "CheckpointConfig" not in job.request:
            return
        now = job.platform.clock.monotonic_us()
        if now - self._last_us.get(job.row.id, 0) < INTERVAL_US:
            return
        self._last_us[job.row.id] = now
        for host in job.cluster.names:
            key = (job.row.id, job.attempt.number, host)
            checkpoints = self._of(job, host)
            with self._lock:
                if checkpoints is not None and (key not in self._running or self._running[key].done()):
                    ended = self._broken_off[key] = threading.Event()
                    self._running[key] = self._pool.submit(checkpoints.upload, cancelled=ended.is_set)

    def finish(self, job: Job, cancelled: Callable[[], bool]) -> list[str]:
        """Upload what is left, after the job's processes ended; what was left out. Raises Refused, Cancelled."""
        skipped: list[str] = []
        for host in job.cluster.names:
            checkpoints = self._of(job, host)
            if checkpoints is None:
                continue
            with self._lock:
                key = (job.row.id, job.attempt.number, host)
                running = self._running.pop(key, None)
                if ended := self._broken_off.pop(key, None):
                    # Begun anew below, where it can be cancelled with this step.
                    ended.set()
            # A refusal while it ran counts only if it is one still; anything else is a defect.
            if running is not None and not isinstance(error := running.exception(), Refused | Cancelled | None):
                raise error
            checkpoints.upload(everything=True, cancelled=cancelled)
            skipped += checkpoints.skipped
        return skipped

    def forget(self, resource_id: str) -> None:
        """Drop what is remembered of an ended job; an upload that still runs ends."""
        with self._lock:
            self._last_us.pop(resource_id, None)
            for key, ended in self._broken_off.items():
                if key[0] == resource_id:
                    ended.set()
            for known in (self._known, self._running, self._broken_off):
                for key in [key for key in known if key[0] == resource_id]:
                    del known[key]

    def _of(self, job: Job, host: str) -> Checkpoints | None:
        config = job.request.get("CheckpointConfig")
        if config is None:
            return None
        with self._lock:
            key = (job.row.id, job.attempt.number, host)
            if key not in self._known:
                self._known[key] = Checkpoints(
                    job.platform.objects,
                    job.allowed,
                    locations.parse(config["S3Uri"]),
                    Folder(job.opt_ml(host), checkpoint_path(config)),
                    volume_bytes(job.request["ResourceConfig"]),
                )
            return self._known[key]
