"""UpdateTrainingJob."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources import fetch, update_body
from sagebrush.training.model.phases import Status
from sagebrush.training.resources import TRAINING_JOB

_UPDATABLE = ("ProfilerConfig", "ProfilerRuleConfigurations", "RemoteDebugConfig", "ResourceConfig")


def update_training_job(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Change what Describe shows of profiling, debugging and the warm pool; none of them acts on a job yet.

    Raises ValidationException for a job that is missing or not in progress.
    """

    def record(tx: Connection) -> str:
        row = fetch(tx, TRAINING_JOB, call.account, call.region, request["TrainingJobName"])
        if row.status != Status.IN_PROGRESS:
            raise validation(
                f"The training job {row.arn} cannot be updated: it is in status {row.status}, not InProgress."
            )
        created = dict(row.body["request"])
        for member in _UPDATABLE:
            if member not in request:
                continue
            if isinstance(request[member], dict):
                created[member] = created.get(member, {}) | request[member]
            else:
                created[member] = request[member]
        update_body(tx, row, {"request": created}, now_us=call.platform.clock.now_us())
        return row.arn

    return {"TrainingJobArn": call.platform.store.write(record)}
