"""StopTrainingJob."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources import fetch, transition
from sagebrush.training.model import phases, wording
from sagebrush.training.model.description import phase_of
from sagebrush.training.resources import TRAINING_JOB


def stop_training_job(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Record that the job is to stop; stopping one that is stopping changes nothing.

    Raises ValidationException for a job that is missing or has ended.
    """

    def record(tx: Connection) -> None:
        row = fetch(tx, TRAINING_JOB, call.account, call.region, request["TrainingJobName"])
        phase = phase_of(row)
        if phase.status is phases.Status.STOPPING:
            return
        if phase.status in phases.TERMINAL:
            raise validation(f"The request was rejected because the training job is in status {phase.status.value}.")
        target = phases.after(phase, phases.Event.STOP)
        transition(
            tx,
            TRAINING_JOB,
            row,
            phases.Event.STOP.value,
            now_us=call.platform.clock.now_us(),
            secondary=target.secondary.value,
            message=wording.MESSAGES[target.secondary],
            changes={"secondary": target.secondary.value},
            call=call,
        )

    call.platform.store.write(record)
    return {}
