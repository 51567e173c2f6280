"""The end of a job: the one transaction that makes it terminal and gives back what it held."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute.removal import remove_tree
from sagebrush.substrate.errors import JobFailure
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import Done
from sagebrush.substrate.store.text import printable
from sagebrush.training import tables
from sagebrush.training.model import wording
from sagebrush.training.model.phases import Event
from sagebrush.training.reconcilers.job import LOG_GROUP, Job, job_directory

_log = logging.getLogger(__name__)

BEFORE_TERMINAL = faultpoints.declare("training.before-terminal-record")
AFTER_TERMINAL = faultpoints.declare("training.after-terminal-record")

#: How many jobs at the head of the queue are woken when capacity becomes free; each that is admitted wakes the next.
_WOKEN = 2
#: Characters: a deep path can be longer than a log event may be.
_LONGEST_NOTICE = 1000


def conclude(job: Job, event: Event, failure: JobFailure | None = None, *, notices: Sequence[str] = ()) -> Done:
    """Make the job terminal: status, times, last metrics, capacity and attempts in one transaction.

    ``notices`` are the platform's last lines in the log of the first host.
    """
    platform = job.platform
    job.let_go()
    faultpoints.reach(BEFORE_TERMINAL)

    def record(tx: Connection) -> None:
        now = platform.clock.now_us()
        changes = {
            "ended_us": now,
            "failure_reason": None if failure is None else wording.failure_reason(failure),
            "metrics": tables.metrics_of(tx, job.row.id) or None,
        }
        job.enter(tx, event, changes=changes)
        _tell(job, notices, now, tx)
        platform.compute.capacity.release(tx, job.row.id)
        tables.end(tx, job.row.id, now)
        wake_queue(platform, tx)

    platform.store.write(record)
    faultpoints.reach(AFTER_TERMINAL)
    for host in job.cluster.names:
        platform.compute.launcher.unwatch(job.directory(host))
    remove_directory(platform, job.row.id)
    return Done()


def _tell(job: Job, notices: Sequence[str], now_us: int, tx: Connection) -> None:
    logs = tables.host_logs(tx, job.row.id, job.attempt.number)
    if notices and logs:
        telemetry = job.platform.telemetry.of(job.row.account, job.row.region)
        events = [(now_us // 1000, printable(f"[sagebrush] {notice}"[:_LONGEST_NOTICE])) for notice in notices]
        telemetry.logs.append(tx, LOG_GROUP, min(logs, key=lambda log: log.host).stream, events)


def wake_queue(platform: Platform, tx: Connection) -> None:
    """After this transaction, let the first jobs in the queue look whether they fit."""
    waiting = tables.next_in_queue(tx, _WOKEN)

    def wake() -> None:
        for resource_id in waiting:
            platform.wakeups.notify(resource_id)

    if waiting:
        platform.store.after_commit(wake)


def remove_directory(platform: Platform, resource_id: str) -> None:
    """Remove everything of an ended job from disk; what a kill leaves is swept at the next start.

    What cannot be removed is told in the platform's log and hinders nobody: the job has ended.
    """
    try:
        remove_tree(job_directory(platform.settings.data_dir, resource_id))
    except OSError as error:
        _log.warning("the directory of the ended job %s could not be removed: %s", resource_id, error)
