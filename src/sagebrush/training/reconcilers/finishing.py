"""Uploading: artefacts to S3, then the end."""

from __future__ import annotations

from collections.abc import Callable

from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute.user_files import Folder
from sagebrush.substrate.errors import Cancelled, Refused
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.training.engine.artefacts import ArtefactUploader, volume_bytes
from sagebrush.training.model import locations
from sagebrush.training.model.description import model_location
from sagebrush.training.model.phases import Event, Status
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

    def finish(self, job: Job) -> Again | Done:
        """Upload what the job left and make it terminal. A job whose upload is refused fails for that."""
        event, failure = outcome(job, job.ends())
        faultpoints.reach(BEFORE_UPLOAD)
        skipped: list[str] = []
        try:
            self._upload(job, skipped, with_model=event is not Event.FAIL)
        except Refused as refused:
            event, failure = Event.FAIL, failure or refused.failure
        except Cancelled:
            if job.phase.status is not Status.STOPPING:
                return Again()  # The row says now that it is, and the upload begins anew with its grace.
            skipped.insert(0, "everything: the job was asked to stop, and the upload took longer than the grace")
        faultpoints.reach(AFTER_UPLOAD)
        return conclude(job, event, failure, notices=[f"Not uploaded: {what}" for what in skipped[:100]])

    def _upload(self, job: Job, skipped: list[str], *, with_model: bool) -> None:
        """Upload everything; ``skipped`` gets what was left out, and why."""
        output = job.request["OutputDataConfig"]
        cancelled = _cancelled(job)
        uploader = ArtefactUploader(
            job.platform.objects,
            job.allowed,
            role_arn=job.request["RoleArn"],
            volume_bytes=volume_bytes(job.request["ResourceConfig"]),
            room_bytes=job.platform.compute.disk_free_bytes(),
            cancelled=cancelled,
        )
        roots = [job.opt_ml(host) for host in job.cluster.names]
        if with_model:
            skipped += uploader.model([Folder(root, "model") for root in roots], model_location(job.row)).skipped
        folder = locations.output_folder(output["S3OutputPath"], job.row.name)
        data = [Folder(root, "output/data") for root in roots]
        skipped += uploader.output_data(data, folder, output.get("CompressionType", "GZIP")).skipped
        skipped += self._checkpointing.finish(job, cancelled)


def _cancelled(job: Job) -> Callable[[], bool]:
    """When an upload is broken off: at a stop; of a job that is stopping, after the grace that its processes had too.

    The grace counts from this step and not from the stop, so that a restarted platform does not drop what it can keep.
    """
    if job.phase.status is not Status.STOPPING:
        return job.stop_check()
    clock = job.platform.clock
    until = clock.monotonic_us() + int(job.platform.settings.stop_grace_seconds * 1e6)
    return lambda: clock.monotonic_us() >= until
