"""DeleteTrainingJob."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.resources import fetch, soft_delete
from sagebrush.training import tables
from sagebrush.training.model.phases import TERMINAL
from sagebrush.training.resources import TRAINING_JOB


def delete_training_job(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an ended job; its name is free again, its artefacts and logs stay.

    Raises ValidationException when it is missing, ResourceInUse while it has not ended.
    """

    def record(tx: Connection) -> None:
        row = fetch(tx, TRAINING_JOB, call.account, call.region, request["TrainingJobName"])
        if row.status not in TERMINAL:
            raise CallerError(
                "ResourceInUse",
                f"The training job {row.arn} is in status {row.status}. Only training jobs in a terminal state "
                "(Completed, Failed or Stopped) can be deleted; stop it first.",
            )
        soft_delete(tx, row, now_us=call.platform.clock.now_us())
        tables.forget(tx, row.id)

    call.platform.store.write(record)
    return {}
