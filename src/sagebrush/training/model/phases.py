"""TrainingJobStatus and SecondaryStatus as one machine (source: "DescribeTrainingJob", SageMaker API Reference).

A :class:`Phase` is a pair of both; :func:`after` answers the phase an event leads to, or refuses. What leads where::

    InProgress  Starting -> [Pending] -> [Downloading] -> Training -> Uploading -> Completed | MaxRuntimeExceeded
                any of them -> Failed; the supervisor lost and attempts left: Restarting, then as Starting
    Stopping    from any of them: Stopping -> [Uploading] -> Stopped (or Failed)
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from sagebrush.substrate.errors import Fault


class Status(StrEnum):
    """TrainingJobStatus."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class Secondary(StrEnum):
    """SecondaryStatus, those that Sagebrush uses."""

    STARTING = "Starting"
    PENDING = "Pending"
    RESTARTING = "Restarting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    MAX_WAIT_TIME_EXCEEDED = "MaxWaitTimeExceeded"


class Event(StrEnum):
    """What can happen to a job."""

    QUEUE = "queue"
    DOWNLOAD = "download"
    TRAIN = "train"
    UPLOAD = "upload"
    COMPLETE = "complete"
    FAIL = "fail"
    RESTART = "restart"
    STOP = "stop"
    STOPPED = "stopped"
    RUNTIME_EXCEEDED = "runtime-exceeded"
    WAIT_EXCEEDED = "wait-exceeded"


class Phase(NamedTuple):
    """Where a job stands."""

    status: Status
    secondary: Secondary


class IllegalPhase(Fault):
    """The event cannot happen in that phase: a defect of ours, never of a user."""


START = Phase(Status.IN_PROGRESS, Secondary.STARTING)
TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.STOPPED})

_WAITING = (Secondary.STARTING, Secondary.PENDING, Secondary.RESTARTING)
_RUNNING = (*_WAITING, Secondary.DOWNLOADING, Secondary.TRAINING, Secondary.UPLOADING)
_STOPPING = (Secondary.STOPPING, Secondary.UPLOADING)

#: Status an event leaves -> secondary statuses it may leave, and where it leads.
_ARROWS: dict[tuple[Event, Status], tuple[tuple[Secondary, ...], Phase]] = {
    (Event.QUEUE, Status.IN_PROGRESS): (_WAITING, Phase(Status.IN_PROGRESS, Secondary.PENDING)),
    (Event.DOWNLOAD, Status.IN_PROGRESS): (_WAITING, Phase(Status.IN_PROGRESS, Secondary.DOWNLOADING)),
    (Event.TRAIN, Status.IN_PROGRESS): (
        (*_WAITING, Secondary.DOWNLOADING),
        Phase(Status.IN_PROGRESS, Secondary.TRAINING),
    ),
    (Event.UPLOAD, Status.IN_PROGRESS): ((Secondary.TRAINING,), Phase(Status.IN_PROGRESS, Secondary.UPLOADING)),
    (Event.UPLOAD, Status.STOPPING): ((Secondary.STOPPING,), Phase(Status.STOPPING, Secondary.UPLOADING)),
    (Event.COMPLETE, Status.IN_PROGRESS): ((Secondary.UPLOADING,), Phase(Status.COMPLETED, Secondary.COMPLETED)),
    (Event.FAIL, Status.IN_PROGRESS): (_RUNNING, Phase(Status.FAILED, Secondary.FAILED)),
    (Event.FAIL, Status.STOPPING): (_STOPPING, Phase(Status.FAILED, Secondary.FAILED)),
    (Event.RESTART, Status.IN_PROGRESS): (
        (Secondary.STARTING, Secondary.RESTARTING, Secondary.DOWNLOADING, Secondary.TRAINING),
        Phase(Status.IN_PROGRESS, Secondary.RESTARTING),
    ),
    (Event.STOP, Status.IN_PROGRESS): (_RUNNING, Phase(Status.STOPPING, Secondary.STOPPING)),
    (Event.STOPPED, Status.STOPPING): (_STOPPING, Phase(Status.STOPPED, Secondary.STOPPED)),
    (Event.RUNTIME_EXCEEDED, Status.IN_PROGRESS): (
        (Secondary.DOWNLOADING, Secondary.UPLOADING),
        Phase(Status.STOPPED, Secondary.MAX_RUNTIME_EXCEEDED),
    ),
    (Event.WAIT_EXCEEDED, Status.IN_PROGRESS): (
        (*_WAITING, Secondary.DOWNLOADING, Secondary.UPLOADING),
        Phase(Status.STOPPED, Secondary.MAX_WAIT_TIME_EXCEEDED),
    ),
}


def after(phase: Phase, event: Event) -> Phase:
    """The phase that ``event`` leads to. Raises IllegalPhase."""
    sources, target = _ARROWS.get((event, phase.status), ((), phase))
    if phase.secondary not in sources:
        raise IllegalPhase(f"a job that is {phase.status}/{phase.secondary} cannot take '{event}'")
    return target


def status_transitions() -> dict[tuple[str, str], str]:
    """The machine seen from TrainingJobStatus alone: (status, event) -> status, as resource declarations want it."""
    return {(status.value, event.value): target.status.value for (event, status), (_, target) in _ARROWS.items()}
