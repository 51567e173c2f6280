"""What the ends of all hosts mean for the job. Computed from what is on disk, so that a repeated step says the same."""

from __future__ import annotations

from collections.abc import Mapping

from sagebrush.substrate.compute import Observation, failure, output_reading
from sagebrush.substrate.compute.user_files import Folder, read_beginning
from sagebrush.substrate.errors import JobFailure
from sagebrush.training import tables
from sagebrush.training.model.phases import Event, Status
from sagebrush.training.reconcilers.job import ENDED_PHASES, Job
from sagebrush.training.reconcilers.pumping import OUTPUT


def failed_host(seen: Mapping[str, Observation]) -> str | None:
    """The host whose failure is the job's: a lost one, else the first that ended badly; the others follow from it."""
    lost = [host for host, s in seen.items() if s.phase == "lost"]
    if lost:
        return lost[0]
    bad = [(s.ended_us or 0, host) for host, s in seen.items() if s.phase == "exited" and not s.succeeded]
    return min(bad)[1] if bad else None


def outcome(job: Job, seen: Mapping[str, Observation]) -> tuple[Event, JobFailure | None]:
    """The event that ends an attempt whose hosts have all ended, with the failure where it is one."""
    if job.phase.status is Status.STOPPING:
        return Event.STOPPED, None
    if job.attempt.ending is not None:
        return (Event.RUNTIME_EXCEEDED if job.attempt.ending == "runtime" else Event.WAIT_EXCEEDED), None
    host = failed_host(seen)
    if host is None:
        return Event.COMPLETE, None
    return Event.FAIL, _failure(job, host, seen[host])


def needs_another_attempt(job: Job, seen: Mapping[str, Observation]) -> bool:
    """Whether RetryStrategy lets the job try again: it does after failures that were not the job's own."""
    retries = job.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
    if job.attempt.number > retries or job.phase.status is not Status.IN_PROGRESS or job.attempt.state != tables.LIVE:
        return False
    _, reason = outcome(job, seen)
    return reason is not None and reason.kind == "InternalServerError"


def _failure(job: Job, host: str, seen: Observation) -> JobFailure:
    assert seen.phase in ENDED_PHASES
    return failure.explain(
        failure.HostEnd(
            host=host,
            observation=seen,
            failure_file=_failure_file(job, host),
            log_tail=[*output_reading.tail(job.directory(host) / OUTPUT), *seen.lost_output_tail.splitlines()],
            memory_limit_bytes=_memory_limit(job, host),
            disk_limit=f"its VolumeSizeInGB of {job.request['ResourceConfig'].get('VolumeSizeInGB', 0)} GB",
        ),
        several_hosts=len(job.cluster.names) > 1,
    )


def _failure_file(job: Job, host: str) -> str | None:
    """The beginning of /opt/ml/output/failure. User code wrote it: links are not followed."""
    return read_beginning(Folder(job.opt_ml(host), "output"), "failure", failure.FAILURE_FILE_LIMIT)


def _memory_limit(job: Job, host: str) -> int:
    group = next(h.group for h in job.cluster.hosts if h.name == host)
    instance = job.platform.compute.instances.get(group.instance_type)
    if instance is None:
        return 0
    return job.platform.compute.capacity.fit(instance, len(group.hosts)).limits.memory_bytes
