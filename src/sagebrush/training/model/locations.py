"""The places a job's artefacts go to."""

from __future__ import annotations

from sagebrush.substrate.objects.locations import S3Location, parse


def output_folder(s3_output_path: str, job_name: str) -> S3Location:
    """``<S3OutputPath>/<job>/output``."""
    return parse(s3_output_path).child(job_name).child("output")


def model_artifacts(s3_output_path: str, job_name: str, compression: str) -> S3Location:
    """Where ModelArtifacts.S3ModelArtifacts points: an archive, or with CompressionType NONE a prefix."""
    folder = output_folder(s3_output_path, job_name)
    return folder.child("model/") if compression == "NONE" else folder.child("model.tar.gz")
