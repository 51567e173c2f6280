"""The reconciler of training jobs: which step belongs to which phase.

Every step begins from the stored row and what is on disk, and may be killed at any instruction: launches, terminations
and uploads can be repeated without a second effect, and what is recorded is recorded in one transaction with its phase.
"""

from __future__ import annotations

from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.substrate.resources import Lease, Resource, Row
from sagebrush.training import tables
from sagebrush.training.model.description import phase_of
from sagebrush.training.model.phases import TERMINAL, Secondary
from sagebrush.training.reconcilers.builds import EnvironmentBuilds
from sagebrush.training.reconcilers.checkpointing import Checkpointing
from sagebrush.training.reconcilers.finishing import Finisher
from sagebrush.training.reconcilers.following import Follower
from sagebrush.training.reconcilers.job import Job
from sagebrush.training.reconcilers.queueing import Queue
from sagebrush.training.reconcilers.starting import Starter
from sagebrush.training.reconcilers.sweeping import Sweeper
from sagebrush.training.resources import TRAINING_JOB


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
        if phase.status in TERMINAL or attempt is None:
            return Done()
        outcome = self._step(Job(platform, row, lease, attempt), phase.secondary)
        if isinstance(outcome, Done):
            self._follower.forget(row.id)
            self._checkpointing.forget(row.id)
        return outcome

    def _step(self, job: Job, secondary: Secondary) -> Again | Done:
        if secondary is Secondary.DOWNLOADING:
            return self._starter.launch(job)
        if secondary in (Secondary.TRAINING, Secondary.STOPPING):
            return self._follower.follow(job)
        if secondary is Secondary.UPLOADING:
            return self._finisher.finish(job)
        return self._queue.admit(job)
