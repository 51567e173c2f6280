"""Uploading: artefacts to S3, then the end."""

from __future__ import annotations

from sagebrush.substrate import faultpoints
from sagebrush.substrate.reconcile import Done
from sagebrush.training.engine.archive import Folder
from sagebrush.training.engine.artefacts import ArtefactUploader
from sagebrush.training.engine.refusals import Refused
from sagebrush.training.model import locations
from sagebrush.training.model.description import model_location
from sagebrush.training.model.phases import Event
from sagebrush.training.reconcilers.checkpointing import Checkpointing
from sagebrush.training.reconcilers.ending import conclude
from sagebrush.training.reconcilers.job import Job
from sagebrush.training.reconcilers.verdict import outcome

BEFORE_UPLOAD = faultpoints.declare("training.before-upload")
AFTER_UPLOAD = faultpoints.declare("training.after-upload-before-record")


class Finisher:
    """The last step of a job that had processes."""

    def __init__(self, checkpointing: Checkpointing):
        self._checkpointing = checkpointing

    def finish(self, job: Job) -> Done:
        """Upload what the job left and make it terminal. A job whose upload is refused fails for that."""
        event, failure = outcome(job, job.ends())
        faultpoints.reach(BEFORE_UPLOAD)
        skipped: list[str] = []
        try:
            skipped = self._upload(job, with_model=event is not Event.FAIL)
        except Refused as refused:
            event, failure = Event.FAIL, failure or refused.failure
        faultpoints.reach(AFTER_UPLOAD)
        return conclude(job, event, failure, notices=[f"Not uploaded: {what}" for what in skipped[:100]])

    def _upload(self, job: Job, *, with_model: bool) -> list[str]:
        """What was left out, and why."""
        output = job.request["OutputDataConfig"]
        uploader = ArtefactUploader(job.platform.objects, job.allowed, role_arn=job.request["RoleArn"])
        roots = [job.opt_ml(host) for host in job.cluster.names]
        skipped: list[str] = []
        if with_model:
            skipped += uploader.model([Folder(root, "model") for root in roots], model_location(job.row)).skipped
        folder = locations.output_folder(output["S3OutputPath"], job.row.name)
        data = [Folder(root, "output/data") for root in roots]
        skipped += uploader.output_data(data, folder, output.get("CompressionType", "GZIP")).skipped
        self._checkpointing.finish(job)
        return skipped
