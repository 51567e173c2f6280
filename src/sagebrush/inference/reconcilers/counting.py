"""Carrying the front door's counts to CloudWatch, each line exactly once."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.engine import counts
from sagebrush.inference.engine.counts import Part
from sagebrush.inference.reconcilers.deployment import Deployment
from sagebrush.substrate import faultpoints

BEFORE_COUNTS = faultpoints.declare("inference.before-counts-record")
AFTER_COUNTS = faultpoints.declare("inference.after-counts-record")

#: The counts of an endpoint under traffic are carried over this often: one batch makes many points.
_PAUSE_US = 10_000_000


class Counting:
    """Remembers which spools have not changed; forgetting it costs a look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[tuple[str, int], ...]] = {}
        self._last_us: dict[str, int] = {}

    def carry(self, deployment: Deployment, *, everything: bool = False) -> bool:
        """Carry over what is new, unless that was done a moment ago; whether there was anything."""
        endpoint_id, now = deployment.row.id, deployment.platform.clock.monotonic_us()
        files = _sizes(deployment)
        with self._lock:
            known, last = self._seen.get(endpoint_id), self._last_us.get(endpoint_id)
        young = last is not None and now - last < _PAUSE_US
        if files == known or not files or (young and not everything):
            return False
        positions = deployment.platform.store.read(lambda conn: tables.spool_positions(conn, endpoint_id))
        spool = deployment.spool
        parts = [counts.read(spool, f, positions.get(f, 0)) for f, size in files if positions.get(f, 0) < size]
        if any(part.end > part.start for part in parts):
            self._record(deployment, [part for part in parts if part.end > part.start])
        self._remove_consumed(deployment, dict(files), positions | {part.file: part.end for part in parts})
        with self._lock:
            self._last_us[endpoint_id] = now
            if not any(part.more for part in parts):
                self._seen[endpoint_id] = files
        return bool(parts)

    def forget(self, endpoint_id: str) -> None:
        """Drop what is remembered of an endpoint that is gone."""
        with self._lock:
            self._seen.pop(endpoint_id, None)
            self._last_us.pop(endpoint_id, None)

    def _record(self, deployment: Deployment, parts: list[Part]) -> None:
        row, clock = deployment.row, deployment.platform.clock
        lines = [line for part in parts for line in part.lines]
        revision = deployment.current or deployment.coming
        instances = {variant.name: variant.count for variant in revision.variants} if revision is not None else {}
        points = counts.points(lines, row.name, instances)
        dropped = counts.dropped(lines)
        telemetry = deployment.platform.telemetry.of(row.account, row.region)

        def record(tx: Connection) -> None:
            for part in parts:
                tables.advance_spool(tx, row.id, part.file, part.start, part.end)
            telemetry.metrics.put_many(tx, counts.NAMESPACE, points)
            for variant, count in dropped.items():
                told = (
                    f"[sagebrush] {count} captured requests or answers were dropped: longer than 8 MiB, or more than "
                    "the disk took in."
                )
                now_ms = clock.now_us() // 1000
                telemetry.logs.append(tx, deployment.log_group, f"{variant}/data-capture", [(now_ms, told)])

        faultpoints.reach(BEFORE_COUNTS)
        deployment.write(record)
        faultpoints.reach(AFTER_COUNTS)

    def _remove_consumed(self, deployment: Deployment, files: Mapping[str, int], positions: Mapping[str, int]) -> None:
        """The front door goes on with the newest file only."""
        newest = max(files)
        consumed = [file for file, size in files.items() if file != newest and positions.get(file, 0) >= size]
        if consumed:
            for file in consumed:
                (deployment.spool / file).unlink(missing_ok=True)
            deployment.write(lambda tx: tables.forget_spool(tx, deployment.row.id, consumed))


def _sizes(deployment: Deployment) -> tuple[tuple[str, int], ...]:
    spool = deployment.spool
    return tuple((file, (spool / file).stat().st_size) for file in counts.files(spool))
