"""What a job gets here: its environment and its share of the host."""

from __future__ import annotations

from dataclasses import replace

from sagebrush.substrate.compute import EnvironmentSpec, Fit
from sagebrush.substrate.compute.environments.builds import Build, EnvironmentBuilds
from sagebrush.substrate.errors import CallerError, JobFailure, Refused
from sagebrush.training.engine import remote_function
from sagebrush.training.reconcilers.job import Job

#: Seconds a step waits for an environment that is there; longer means that it is being built.
_PATIENCE = 0.25
LOOK_AT_BUILD = 1.0


def environment_of(job: Job, builds: EnvironmentBuilds) -> Build:
    """The job's environment, perhaps still on its way; its end wakes the job. Raises Refused."""
    return builds.ready(
        job.platform.compute.environments,
        spec_of(job),
        # A job that waits for a build is woken by its end: it need not hold a thread as well.
        patience=0.0 if job.attempt.building else _PATIENCE,
        who=job.row.id,
        wake=lambda: job.platform.wakeups.notify(job.row.id),
    )


def spec_of(job: Job) -> EnvironmentSpec:
    """What the job's image means here. Raises Refused when it means nothing any more."""
    algorithm = job.request["AlgorithmSpecification"]
    image = algorithm["TrainingImage"]
    try:
        spec = job.platform.compute.environments.resolve(image)
    except CallerError as error:
        raise Refused(JobFailure("ClientError", error.message)) from None
    if spec is None:
        raise Refused(JobFailure("ClientError", f"Cannot find the training image {image}."))
    return replace(spec, packages=remote_function.packages_of(algorithm))


def fits_of(job: Job) -> list[Fit]:
    """What each group of hosts gets. Raises Refused for what this host refuses now."""
    fits = []
    for group in job.cluster.groups:
        instance = job.platform.compute.instances.get(group.instance_type)
        if instance is None:
            raise Refused(JobFailure("ClientError", f"The instance type {group.instance_type} is not known here."))
        fit = job.platform.compute.capacity.fit(instance, len(group.hosts))
        if fit.failure is not None:
            raise Refused(fit.failure)
        fits.append(fit)
    return fits
