"""CreateTrainingJob."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.calls import Call
from sagebrush.substrate.compute import EnvironmentSpec
from sagebrush.substrate.compute.environments.images import ENVIRONMENT_NAMES
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources import Row, answered, insert
from sagebrush.training import tables
from sagebrush.training.model import builtin, cluster, description, phases, wording
from sagebrush.training.model.request import problems
from sagebrush.training.resources import TRAINING_JOB


def create_training_job(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Check everything that can be checked now, record the job at the end of the queue, and return.

    Raises ValidationException in SageMaker's wording, ResourceInUse for a name that is taken, and
    ResourceLimitExceeded for an instance type bigger than this host where ``instances = "strict"``.
    """
    if first := call.platform.store.read(lambda conn: answered(conn, TRAINING_JOB, call)):
        return {"TrainingJobArn": first.arn}
    if found := problems(request):
        raise validation(" ".join(found))
    tags = request.get("Tags", [])
    _check_role(call, request["RoleArn"])
    environment = _environment_of(call, request["AlgorithmSpecification"]["TrainingImage"])
    _check_instances(call, request["ResourceConfig"])
    algorithm = environment.algorithm if builtin.runs_algorithm(request) else None
    body = description.body_of(request, algorithm)

    def record(tx: Connection) -> Row:
        if first := answered(tx, TRAINING_JOB, call):
            return first
        row = insert(
            tx,
            TRAINING_JOB,
            call=call,
            name=request["TrainingJobName"],
            body=body,
            tags=tags,
            secondary=phases.START.secondary.value,
            message=wording.STARTING,
        )
        tables.enqueue(tx, row.id, 1)
        return row

    return {"TrainingJobArn": call.platform.store.write(record).arn}


def _check_role(call: Call, role_arn: str) -> None:
    if not call.platform.identity.role_trusts(role_arn):
        raise validation(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def _environment_of(call: Call, image: str) -> EnvironmentSpec:
    found = call.platform.compute.environments.resolve(image)
    if found is None:
        raise validation(
            f"Cannot find the training image {image}: Sagebrush has no environment for it. It has environments for the "
            f"images of: {', '.join(ENVIRONMENT_NAMES)} (from any account and region)."
        )
    return found


def _check_instances(call: Call, resource_config: dict[str, Any]) -> None:
    compute = call.platform.compute
    for group in cluster.cluster_of(resource_config).groups:
        instance = compute.instances.get(group.instance_type)
        if instance is None:
            raise validation(f"The instance type {group.instance_type} is not in this platform's catalogue.")
        compute.capacity.check(instance, len(group.hosts))
