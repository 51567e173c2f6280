"""ListTrainingJobs."""

from __future__ import annotations

from typing import Any

from sagebrush.substrate.calls import Call
from sagebrush.substrate.resources import page
from sagebrush.training.resources import TRAINING_JOB


def list_training_jobs(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """One page of the account's jobs. No job has a warm pool or a training plan yet, so those filters find none."""
    if "WarmPoolStatusEquals" in request or "TrainingPlanArnEquals" in request:
        return {"TrainingJobSummaries": []}
    return call.platform.store.read(lambda conn: page(conn, TRAINING_JOB, call, request))
