"""Carrying what replicas print to CloudWatch Logs, each line exactly once.

The lines of a batch and the new offset are committed together, and only if the log still stands where it was read
from, so neither a kill nor a second reader repeats or loses a line.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.engine import log_space
from sagebrush.inference.reconcilers.deployment import OUTPUT, Deployment
from sagebrush.inference.tables import Replica
from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import output_reading
from sagebrush.substrate.compute.output_reading import Read

BEFORE_LOG = faultpoints.declare("inference.before-log-record")
AFTER_LOG = faultpoints.declare("inference.after-log-record")

#: Read bytes of a log after which their room on disk is given back.
_RELEASE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class _Batch:
    replica: Replica
    read: Read


def carry(deployment: Deployment) -> bool:
    """Carry over what living replicas have printed since; whether there was anything."""
    batches = [
        _Batch(replica, read)
        for replica in deployment.replicas
        if replica.launched_us is not None and (read := _read(deployment, replica, ended=False)).end > read.start
    ]
    if batches:
        _record(deployment, batches)
    return bool(batches)


def finish(deployment: Deployment, replica: Replica) -> bool:
    """Carry over the next part of an ended replica's log; False once it was the last."""
    read = _read(deployment, replica, ended=True)
    _record(deployment, [_Batch(replica, read)])
    return read.more


def _read(deployment: Deployment, replica: Replica, *, ended: bool) -> Read:
    return output_reading.read(deployment.directory(replica) / OUTPUT, replica.log_offset, ended=ended)


def _record(deployment: Deployment, batches: list[_Batch]) -> None:
    logs = deployment.platform.telemetry.of(deployment.row.account, deployment.row.region).logs

    def record(tx: Connection) -> None:
        for batch in batches:
            tables.advance_log(tx, batch.replica.id, batch.read.start, batch.read.end)
            events = [(line.timestamp_ms, line.text) for line in batch.read.lines]
            if events:
                logs.append(tx, deployment.log_group, batch.replica.log_stream, events)

    faultpoints.reach(BEFORE_LOG)
    deployment.write(record)
    faultpoints.reach(AFTER_LOG)
    for batch in batches:
        start, end = batch.read.start, batch.read.end
        if start // _RELEASE_BYTES != end // _RELEASE_BYTES:
            log_space.release(deployment.directory(batch.replica) / OUTPUT, end)
