"""Failures of a job that are its owner's to mend, found by the engine before or after user code ran."""

from __future__ import annotations

from sagebrush.substrate.errors import JobFailure


class Refused(Exception):
    """The job cannot go on; carries the failure to record. Raised inside the engine, caught by its caller."""

    def __init__(self, failure: JobFailure):
        super().__init__(failure.message)
        self.failure = failure


class Cancelled(Exception):
    """Work was broken off because its owner asked for it (the job is being stopped)."""


def download_failed(message: str) -> Refused:
    """SageMaker's prefix for everything that goes wrong with input data."""
    return Refused(JobFailure("ClientError", f"Data download failed: {message}"))


def upload_failed(message: str) -> Refused:
    """SageMaker's prefix for everything that goes wrong with artefacts."""
    return Refused(JobFailure("ClientError", f"Artifact upload failed: {message}"))
