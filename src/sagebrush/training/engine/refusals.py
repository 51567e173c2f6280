"""Failures of a job that are its owner's to mend, in SageMaker's words."""

from __future__ import annotations

from sagebrush.substrate.errors import JobFailure, Refused


def download_failed(message: str) -> Refused:
    """SageMaker's prefix for everything that goes wrong with input data."""
    return Refused(JobFailure("ClientError", f"Data download failed: {message}"))


def upload_failed(message: str) -> Refused:
    """SageMaker's prefix for everything that goes wrong with artefacts."""
    return Refused(JobFailure("ClientError", f"Artifact upload failed: {message}"))
