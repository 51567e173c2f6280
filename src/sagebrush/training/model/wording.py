"""SageMaker's messages in SecondaryStatusTransitions, as its users see them in notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.substrate.errors import FAILURE_REASON_LIMIT, JobFailure
from sagebrush.substrate.store.text import printable
from sagebrush.training.model.phases import Secondary

STARTING = "Starting the training job"
PREPARING = "Preparing the instances for training"
RETRYING = "The supervisor of the job's processes was lost, retrying the training job"

MESSAGES = {
    Secondary.STARTING: STARTING,
    Secondary.PENDING: "Waiting for compute capacity",
    Secondary.RESTARTING: RETRYING,
    Secondary.DOWNLOADING: "Downloading input data",
    Secondary.TRAINING: "Training image download completed. Training in progress.",
    Secondary.UPLOADING: "Uploading generated training model",
    Secondary.STOPPING: "Stopping the training job",
    Secondary.COMPLETED: "Training job completed",
    Secondary.FAILED: "Training job failed",
    Secondary.STOPPED: "Training job stopped",
    Secondary.MAX_RUNTIME_EXCEEDED: "Training job runtime exceeded MaxRuntimeInSeconds provided",
    Secondary.MAX_WAIT_TIME_EXCEEDED: "Training job runtime exceeded MaxWaitTimeInSeconds provided",
}


def waiting(ahead: int, wanted: str, free: str) -> str:
    """What a job in the queue waits for; ``ahead`` counts the jobs before it."""
    position = "Next in the queue" if ahead == 0 else f"{ahead} job{'s' if ahead > 1 else ''} ahead in the queue"
    return f"{MESSAGES[Secondary.PENDING]}. {position}; needs {wanted}, {free}."


def could_not_finish(step: str, error: Exception, resource_id: str) -> str:
    """Why the platform ended a job that it could not bring further; short enough to keep its last sentence."""
    told = f"{type(error).__name__}: {error}"[:600]
    return (
        f"The platform could not finish the step {step}: {told}. The platform's log has the details under "
        f"{resource_id}."
    )


def without_effect(request: Mapping[str, Any]) -> list[str]:
    """Members of a request that protect data on AWS and do nothing here: whoever relies on them should know."""
    found = [member for member in ("VpcConfig", "EnableInterContainerTrafficEncryption") if request.get(member)]
    found += ["OutputDataConfig.KmsKeyId"] if request["OutputDataConfig"].get("KmsKeyId") else []
    found += ["ResourceConfig.VolumeKmsKeyId"] if request.get("ResourceConfig", {}).get("VolumeKmsKeyId") else []
    found += ["EnableManagedSpotTraining"] if request.get("EnableManagedSpotTraining") else []
    return found


def failure_reason(failure: JobFailure) -> str:
    """A failure as FailureReason: text that can be stored and shown; made so it is longer, and cut again."""
    text = printable(failure.reason())
    return text if len(text) <= FAILURE_REASON_LIMIT else text[: FAILURE_REASON_LIMIT - 1] + "…"
