"""While processes run: logs and metrics, deadlines, stops; until every host has ended and its log is carried over."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Observation
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.training import tables
from sagebrush.training.model import wording
from sagebrush.training.model.phases import Event, Status
from sagebrush.training.reconcilers.checkpointing import Checkpointing
from sagebrush.training.reconcilers.ending import conclude, wake_queue
from sagebrush.training.reconcilers.job import ENDED_PHASES, Job
from sagebrush.training.reconcilers.pumping import AFTER_LOG, BEFORE_LOG, Batches, LogPump
from sagebrush.training.reconcilers.verdict import failed_host, needs_another_attempt

BEFORE_UPLOADING = faultpoints.declare("training.before-uploading-record")
AFTER_UPLOADING = faultpoints.declare("training.after-uploading-record")

#: Seconds between looks at the logs of a job that printed lately, and of one that did not. Its end wakes the step.
_LIVELY, _QUIET = 0.2, 0.5
_LATELY_US = 5_000_000


class Follower:
    """The steps while an attempt is live."""

    def __init__(self, checkpointing: Checkpointing):
        self._checkpointing = checkpointing
        self._lock = threading.Lock()
        self._pumps: dict[str, tuple[int, LogPump]] = {}
        self._watched: set[tuple[str, int]] = set()

    def follow(self, job: Job) -> Again | Done:
        """Phases Training (in progress) and Stopping."""
        if job.attempt.state == tables.QUEUED:
            # Stopped before it had any capacity: nothing ran, nothing to keep.
            return conclude(job, Event.STOPPED)
        self._watch(job)
        stopping = job.phase.status is Status.STOPPING
        if stopping and all(s.phase == "absent" for s in job.observations().values()):
            return conclude(job, Event.STOPPED)
        seen = job.ends()
        self._end_what_must(job, seen)
        pump = self._pump(job)
        batches = pump.look(job, {host: s.phase in ENDED_PHASES for host, s in seen.items()})
        if batches.more or not all(s.phase in ENDED_PHASES for s in seen.values()):
            return self._go_on(job, pump, batches)
        self._record_end(job, seen, pump, batches)
        return Again()

    def forget(self, resource_id: str) -> None:
        """Drop what is remembered of an ended job."""
        with self._lock:
            self._pumps.pop(resource_id, None)
            self._watched = {key for key in self._watched if key[0] != resource_id}

    def _go_on(self, job: Job, pump: LogPump, batches: Batches) -> Again:
        if not batches.empty:
            try:
                pump.carry(job, batches)
            except tables.LogMoved:
                self.forget(job.row.id)
                return Again()
        if batches.more:
            return Again()
        self._checkpointing.upload_sometimes(job)
        active = job.platform.clock.monotonic_us() - pump.active_us < _LATELY_US
        pause = _LIVELY if active else _QUIET
        return Again(max(0.0, min(pause, self._seconds_left(job))))

    def _record_end(self, job: Job, seen: Mapping[str, Observation], pump: LogPump, batches: Batches) -> None:
        """The last lines and the phase that follows, in one transaction."""
        again = needs_another_attempt(job, seen)

        def record(tx: Connection) -> None:
            if not batches.empty:
                pump.record(job, batches, tx)
            if again:
                now = job.platform.clock.now_us()
                job.enter(tx, Event.RESTART, message=wording.RETRYING)
                job.platform.compute.capacity.release(tx, job.row.id)
                tables.end(tx, job.row.id, now)
                tables.enqueue(tx, job.row.id, job.attempt.number + 1)
                wake_queue(job.platform, tx)
            else:
                job.enter(tx, Event.UPLOAD)

        faultpoints.reach(BEFORE_UPLOADING)
        if not batches.empty:
            faultpoints.reach(BEFORE_LOG)
        try:
            job.platform.store.write(record)
        except tables.LogMoved:
            return
        finally:
            # Whether it was recorded or not, the next look asks the database where the logs stand.
            self.forget(job.row.id)
        if not batches.empty:
            faultpoints.reach(AFTER_LOG)
        faultpoints.reach(AFTER_UPLOADING)

    # -- ending an attempt ----------------------------------------------------------------------------------------

    def _end_what_must(self, job: Job, seen: Mapping[str, Observation]) -> None:
        """Ask hosts to end: on a stop, past a deadline, or when another host failed. Asking again changes nothing."""
        live = [host for host, s in seen.items() if s.phase in ("starting", "running")]
        if not live:
            return
        if job.phase.status is Status.STOPPING or failed_host(seen) is not None or self._past_deadline(job):
            for host in live:
                job.platform.compute.launcher.terminate(job.directory(host))

    def _past_deadline(self, job: Job) -> bool:
        if job.attempt.ending is not None:
            return True
        if self._seconds_left(job) > 0:
            return False
        why = job.deadline[1]
        job.platform.store.write(lambda tx: tables.set_ending(tx, job.attempt, why))
        return True

    def _seconds_left(self, job: Job) -> float:
        if job.phase.status is Status.STOPPING or job.attempt.ending is not None:
            return _QUIET
        return (job.deadline[0] - job.platform.clock.now_us()) / 1e6

    # -- memory ---------------------------------------------------------------------------------------------------

    def _pump(self, job: Job) -> LogPump:
        with self._lock:
            number, pump = self._pumps.get(job.row.id, (0, None))
            if pump is None or number != job.attempt.number:
                pump = LogPump(job)
                self._pumps[job.row.id] = (job.attempt.number, pump)
            return pump

    def _watch(self, job: Job) -> None:
        key = (job.row.id, job.attempt.number)
        with self._lock:
            if key in self._watched:
                return
            self._watched.add(key)
        wakeups, resource_id = job.platform.wakeups, job.row.id
        for host in job.cluster.names:
            directory = job.directory(host)
            if directory.is_dir():
                job.platform.compute.launcher.watch(directory, lambda: wakeups.notify(resource_id))
