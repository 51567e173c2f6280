"""Carrying captured requests and answers to S3, as the role of their variant may."""

from __future__ import annotations

import logging
import threading
from itertools import islice
from pathlib import Path
from typing import Any

from sagebrush.inference.engine import captured
from sagebrush.inference.model.revisions import Revision
from sagebrush.inference.reconcilers.deployment import Deployment
from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.errors import CallerError, Refused
from sagebrush.substrate.objects.locations import parse

_log = logging.getLogger(__name__)

BEFORE_UPLOAD = faultpoints.declare("capture.before-upload")
AFTER_UPLOAD = faultpoints.declare("capture.after-upload-before-removal")

_MOST_FILES = 16
#: What S3 or the role refuses is tried again so often, and given up after so long.
_PAUSE_US = 30_000_000
_GIVE_UP_US = 3_600_000_000
_CONTENT_TYPE = "application/jsonlines"


def destination(revision: Revision) -> dict[str, Any] | None:
    """Where a revision's captured data go and as whom, as the endpoint's row keeps it; None where it captures none."""
    if revision.capture is None or not revision.captures:
        return None
    roles = {variant.name: variant.role_arn for variant in revision.variants}
    return {"uri": revision.capture["DestinationS3Uri"], "roles": roles}


class Capturing:
    """Remembers what was refused lately."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused_us: dict[str, int] = {}

    def carry(self, deployment: Deployment, *, last: bool = False) -> bool:
        """Upload some of the files that are closed; whether there may be more. The ``last`` time nothing is kept."""
        target = deployment.row.body.get("captured_to")
        files = list(islice(captured.closed_files(deployment.spool), _MOST_FILES))
        if not files or (not last and self._was_refused(deployment)):
            return False
        refusals = {self._upload(deployment, target, file, last=last) for file in files} - {""}
        if refusals and not last:
            with self._lock:
                self._refused_us[deployment.row.id] = deployment.platform.clock.monotonic_us()
        return not refusals or last

    def forget(self, endpoint_id: str) -> None:
        """Drop what is remembered of an endpoint that is gone."""
        with self._lock:
            self._refused_us.pop(endpoint_id, None)

    def _upload(self, deployment: Deployment, target: Any, file: Path, *, last: bool) -> str:
        """Store a file under its key and remove it here; why it stays, else. Doing it again stores the same bytes."""
        path = deployment.spool / "capture" / file
        refused = "nothing captures any more"
        if target is not None and captured.variant_of(file) in target["roles"]:
            location = captured.target(parse(target["uri"]), deployment.row.name, file)
            faultpoints.reach(BEFORE_UPLOAD)
            try:
                deployment.allowed(target["roles"][captured.variant_of(file)])("s3:PutObject", location)
                deployment.platform.objects.put(location.bucket, location.key, path, content_type=_CONTENT_TYPE)
                refused = ""
            except CallerError as error:
                refused = f"{error.code}: {error.message}"
            except Refused as error:
                refused = error.failure.message
            faultpoints.reach(AFTER_UPLOAD)
        now = deployment.platform.clock.now_us()
        if refused and not last and now - path.stat().st_mtime_ns // 1000 < _GIVE_UP_US:
            return refused
        if refused:
            _log.warning("captured data of %s are dropped: %s", deployment.row.arn, refused)
        captured.remove(deployment.spool, file, to_datetime(now))
        return refused

    def _was_refused(self, deployment: Deployment) -> bool:
        with self._lock:
            last = self._refused_us.get(deployment.row.id)
        return last is not None and deployment.platform.clock.monotonic_us() - last < _PAUSE_US
