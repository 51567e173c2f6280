"""Jobs and endpoints, as the command asks about them: through the same API as everybody."""

from __future__ import annotations

from sagebrush.cli.session import client
from sagebrush.server.platform_file import PlatformFile
from sagebrush.substrate.clock import Clock, SystemClock
from sagebrush.substrate.settings import Settings

_POLL_US = 200_000


def running_jobs(settings: Settings, platform: PlatformFile) -> list[str]:
    """Names of the training jobs in progress."""
    sagemaker = client(settings, platform, "sagemaker")
    pages = sagemaker.get_paginator("list_training_jobs").paginate(StatusEquals="InProgress")
    return [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]


def endpoints(settings: Settings, platform: PlatformFile) -> dict[str, str]:
    """The status of every endpoint, by name."""
    sagemaker = client(settings, platform, "sagemaker")
    pages = sagemaker.get_paginator("list_endpoints").paginate()
    return {entry["EndpointName"]: entry["EndpointStatus"] for page in pages for entry in page["Endpoints"]}


def running_jobs_if_known(settings: Settings, platform: PlatformFile) -> list[str]:
    """As :func:`running_jobs`; nothing when the platform does not answer, which must not keep it from stopping."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return running_jobs(settings, platform)
    except (BotoCoreError, ClientError):
        return []


def stop_all(settings: Settings, platform: PlatformFile, clock: Clock | None = None) -> list[str]:
    """Stop every training job in progress and wait for their ends; their names."""
    clock = clock or SystemClock()
    sagemaker = client(settings, platform, "sagemaker")
    names = running_jobs(settings, platform)
    for name in names:
        try:
            sagemaker.stop_training_job(TrainingJobName=name)
        except sagemaker.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise  # A ValidationException says that it has ended meanwhile.
    left = set(names)
    while left:
        clock.sleep_until(clock.monotonic_us() + _POLL_US)
        for name in tuple(left):
            status = sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
            if status not in ("InProgress", "Stopping"):
                left.discard(name)
    return names
