"""The noun of this capability: the training job."""

from __future__ import annotations

from sagebrush.substrate.errors import CallerError, validation
from sagebrush.substrate.resources import ListSpec, Resource, StateMachine
from sagebrush.training.model import description, phases


def _not_found(name: str, arn: str) -> CallerError:
    return validation(f"Requested resource not found. Could not find training job '{arn}'.")


def _already_exists(name: str, arn: str) -> CallerError:
    return CallerError(
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job with this name "
        f"already exists ({arn})",
    )


TRAINING_JOB = Resource(
    service="sagemaker",
    noun="TrainingJob",
    kind="training-job",
    name_member="TrainingJobName",
    arn_member="TrainingJobArn",
    status_member="TrainingJobStatus",
    machine=StateMachine(
        initial=phases.START.status.value,
        transitions=phases.status_transitions(),
        terminal=frozenset(status.value for status in phases.TERMINAL),
    ),
    describe=description.describe,
    listing=ListSpec(
        operation="ListTrainingJobs",
        member="TrainingJobSummaries",
        summary=description.summarize,
        default_order="Ascending",
    ),
    not_found=_not_found,
    already_exists=_already_exists,
    event_detail_type="SageMaker Training Job State Change",
    meter=description.metered,
)
