"""The API of training jobs: each function records intent and returns; the reconciler does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.substrate.calls import Call, Handler
from sagebrush.training.operations.create_training_job import create_training_job
from sagebrush.training.operations.delete_training_job import delete_training_job
from sagebrush.training.operations.describe_training_job import describe_training_job
from sagebrush.training.operations.list_training_jobs import list_training_jobs
from sagebrush.training.operations.liveness import is_live
from sagebrush.training.operations.stop_training_job import stop_training_job
from sagebrush.training.operations.update_training_job import update_training_job
from sagebrush.training.resources import TRAINING_JOB

__all__ = ["NAMING_ONE_JOB", "OPERATIONS", "is_live", "named_job"]

OPERATIONS: Mapping[str, Handler] = {
    "CreateTrainingJob": create_training_job,
    "DescribeTrainingJob": describe_training_job,
    "ListTrainingJobs": list_training_jobs,
    "StopTrainingJob": stop_training_job,
    "DeleteTrainingJob": delete_training_job,
    "UpdateTrainingJob": update_training_job,
}
#: Those that act on the one job their request names.
NAMING_ONE_JOB = (
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "StopTrainingJob",
    "DeleteTrainingJob",
    "UpdateTrainingJob",
)


def named_job(call: Call, request: Mapping[str, Any]) -> list[str]:
    """The ARN that policies are evaluated against."""
    return [TRAINING_JOB.arn(call.account, call.region, request["TrainingJobName"])]
