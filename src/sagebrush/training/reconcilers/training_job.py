"""The reconciler of training jobs: which step belongs to which phase.

Every step begins from the stored row and what is on disk, and may be killed at any instruction: launches, terminations
and uploads can be repeated without a second effect, and what is recorded is recorded in one transaction with its phase.
"""

from __future__ import annotations

from sagebrush.substrate.compute.environments.builds import EnvironmentBuilds
from sagebrush.substrate.errors import Fault, JobFailure
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.substrate.resources import Lease, Resource, Row
from sagebrush.training import tables
from sagebrush.training.model import wording
from sagebrush.training.model.description import phase_of
from sagebrush.training.model.phases import TERMINAL, Event, Secondary, Status
from sagebrush.training.reconcilers.checkpointing import Checkpointing
from sagebrush.training.reconcilers.ending import conclude
from sagebrush.training.reconcilers.finishing import Finisher
from sagebrush.training.reconcilers.following import Follower
from sagebrush.training.reconcilers.job import Job
from sagebrush.training.reconcilers.queueing import Queue
from sagebrush.training.reconcilers.starting import Starter
from sagebrush.training.reconcilers.sweeping import Sweeper
from sagebrush.training.resources import TRAINING_JOB

#: How long giving up waits for killed processes to be gone, and how often it looks (seconds).
_KILL_US = 10_000_000
_LOOK_AT_KILLED = 0.1


class TrainingJobReconciler:
    """Moves training jobs from the queue to their end."""

    def __init__(self) -> None:
        self._checkpointing = Checkpointing()
        builds = EnvironmentBuilds()
        self._queue = Queue(builds)
        self._starter = Starter(builds, self._checkpointing)
        self._follower = Follower(self._checkpointing)
        self._finisher = Finisher(self._checkpointing)
        self._sweeper = Sweeper()

    @property
    def resource(self) -> Resource:
        return TRAINING_JOB

    def step(self, platform: Platform, row: Row, lease: Lease) -> Again | Done:
        """Take the step of the row's phase."""
        self._sweeper.begin(platform)
        attempt = platform.store.read(lambda conn: tables.last_attempt(conn, row.id))
        phase = phase_of(row)
        if phase.status in TERMINAL:
            return Done()
        if attempt is None:
            raise Fault(f"{row.arn} has no attempt")
        outcome = self._step(Job(platform, row, lease, attempt), phase.secondary)
        if isinstance(outcome, Done):
            self._forget(row)
        return outcome

    def give_up(self, platform: Platform, row: Row, lease: Lease, error: Exception) -> Again | Done:
        """End a job that the platform cannot bring further, and say why."""
        attempt = platform.store.read(lambda conn: tables.last_attempt(conn, row.id))
        phase = phase_of(row)
        if phase.status in TERMINAL or attempt is None:
            return Done()
        job = Job(platform, row, lease, attempt)
        until = platform.clock.monotonic_us() + _KILL_US
        # Waited for here: a step between would take the kill for the job's own end.
        while job.kill():
            now = platform.clock.monotonic_us()
            if now > until:
                return Again(_LOOK_AT_KILLED)
            platform.clock.sleep_until(now + int(_LOOK_AT_KILLED * 1e6))
        self._forget(row)
        told = wording.could_not_finish(phase.secondary.value, error, row.id)
        event = Event.STOPPED if phase.status is Status.STOPPING else Event.FAIL
        return conclude(job, event, JobFailure("InternalServerError", told))

    def _forget(self, row: Row) -> None:
        self._follower.forget(row.id)
        self._checkpointing.forget(row.id)

    def _step(self, job: Job, secondary: Secondary) -> Again | Done:
        if secondary is Secondary.DOWNLOADING:
            return self._starter.launch(job)
        if secondary in (Secondary.TRAINING, Secondary.STOPPING):
            return self._follower.follow(job)
        if secondary is Secondary.UPLOADING:
            return self._finisher.finish(job)
        return self._queue.admit(job)
