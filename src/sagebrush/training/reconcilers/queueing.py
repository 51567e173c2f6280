"""The queue: a job waits for its environment and for capacity, in the order of creation."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Fit
from sagebrush.substrate.compute.environments.builds import Build, EnvironmentBuilds
from sagebrush.substrate.errors import JobFailure, Refused
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.substrate.resources import transitions_of, update_body
from sagebrush.training import tables
from sagebrush.training.model import times, wording
from sagebrush.training.model.phases import Event, Secondary
from sagebrush.training.reconcilers.allotment import LOOK_AT_BUILD, environment_of, fits_of
from sagebrush.training.reconcilers.ending import conclude, wake_queue
from sagebrush.training.reconcilers.job import Job

BEFORE_ADMISSION = faultpoints.declare("training.before-admission-record")
AFTER_ADMISSION = faultpoints.declare("training.after-admission-record")

#: Seconds between looks of a job in the queue, to refresh what its message says; free capacity wakes it at once.
_LOOK_AT_QUEUE = 5.0
#: Jobs created together reach the queue in any order: so long a young one waits for its elders without saying so.
_YOUNG_US = 500_000
_LOOK_AT_ELDERS = 0.02


class Queue:
    """The steps before anything of a job exists on disk."""

    def __init__(self, builds: EnvironmentBuilds):
        self._builds = builds

    def admit(self, job: Job) -> Again | Done:
        """Wait for the environment and for capacity, in the order of creation; then hold both."""
        deadline = times.wait_deadline_us(job.request["StoppingCondition"], job.row.created_us)
        if deadline is not None and job.platform.clock.now_us() >= deadline:
            return conclude(job, Event.WAIT_EXCEEDED)
        try:
            fits = fits_of(job)
            build = environment_of(job, self._builds)
        except Refused as refused:
            return conclude(job, Event.FAIL, refused.failure)
        if build.failure:
            return conclude(job, Event.FAIL, JobFailure("InternalServerError", build.failure))
        if build.environment is None:
            return _tell_building(job, build)
        if _must_wait(job, fits):
            return Again(_LOOK_AT_QUEUE)
        faultpoints.reach(BEFORE_ADMISSION)
        outcome = job.platform.store.write(lambda tx: _take_capacity(job, fits, tx))
        faultpoints.reach(AFTER_ADMISSION)
        return outcome


def _tell_building(job: Job, build: Build) -> Again:
    """Let others pass in the queue, and show what the build is doing."""
    message = build.message or wording.PREPARING

    def record(tx: Connection) -> None:
        if not job.attempt.building:
            tables.set_building(tx, job.attempt, True)
            wake_queue(job.platform, tx)
        if transitions_of(tx, job.row.id)[-1]["message"] != message:
            update_body(tx, job.row, {}, now_us=job.platform.clock.now_us(), lease=job.lease, message=message)

    job.platform.store.write(record)
    return Again(LOOK_AT_BUILD)


def _must_wait(job: Job, fits: Sequence[Fit]) -> bool:
    """Whether a job in the queue has nothing to record: it cannot go on, and its message says so already."""
    if job.phase.secondary is not Secondary.PENDING or job.attempt.building:
        return False

    def look(conn: Connection) -> bool:
        ahead = tables.ahead_of(conn, job.attempt)
        message = _waiting(job, fits, ahead, conn)
        return ahead > 0 and transitions_of(conn, job.row.id)[-1]["message"] == message

    return job.platform.store.read(look)


def _waiting(job: Job, fits: Sequence[Fit], ahead: int, conn: Connection) -> str:
    """What a job in the queue is told."""
    capacity = job.platform.compute.capacity
    used_vcpus, used_memory = capacity.used(conn)
    return wording.waiting(
        ahead,
        f"{sum(fit.vcpus for fit in fits):g} vCPU and {sum(fit.memory_gib for fit in fits):g} GiB",
        f"{max(0.0, capacity.vcpus - used_vcpus):g} vCPU and {max(0.0, capacity.memory_gib - used_memory):.1f} GiB "
        f"of {capacity.vcpus:g} and {capacity.memory_gib:.1f} GiB are free",
    )


def _take_capacity(job: Job, fits: Sequence[Fit], tx: Connection) -> Again:
    capacity = job.platform.compute.capacity
    vcpus, memory = sum(fit.vcpus for fit in fits), sum(fit.memory_gib for fit in fits)
    ahead = tables.ahead_of(tx, job.attempt)
    now = job.platform.clock.now_us()
    if ahead == 0 and capacity.admit(tx, owner_id=job.row.id, vcpus=vcpus, memory_gib=memory):
        first = tables.first_admitted_us(tx, job.row.id)
        stamp = now // 1_000_000
        tables.admit(tx, job.attempt, now, [(h, f"{job.row.name}/{h}-{stamp}") for h in job.cluster.names])
        message = None if job.request.get("InputDataConfig") else wording.PREPARING
        job.enter(tx, Event.DOWNLOAD, message=message, changes={"started_us": now if first is None else first})
        wake_queue(job.platform, tx)
        return Again()
    if ahead and now - job.row.created_us < _YOUNG_US:
        return Again(_LOOK_AT_ELDERS)
    if job.attempt.building:
        tables.set_building(tx, job.attempt, False)
    message = _waiting(job, fits, ahead, tx)
    if job.phase.secondary is not Secondary.PENDING:
        job.enter(tx, Event.QUEUE, message=message)
    elif transitions_of(tx, job.row.id)[-1]["message"] != message:
        update_body(tx, job.row, {}, now_us=now, lease=job.lease, message=message)
    return Again(_LOOK_AT_QUEUE)
