"""Carrying what jobs print to CloudWatch: lines and metrics, each exactly once.

The lines of a batch, the points found in them and the new offset are committed together; a batch is recorded only if
the log still stands where it was read from, so neither a kill nor a second reader repeats or loses a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import output_reading
from sagebrush.substrate.compute.output_reading import LogLine
from sagebrush.substrate.telemetry import MetricPoint
from sagebrush.training import tables
from sagebrush.training.engine import metrics
from sagebrush.training.engine.metrics import MetricScanner, Point
from sagebrush.training.model import builtin
from sagebrush.training.reconcilers.job import LOG_GROUP, Job

BEFORE_LOG = faultpoints.declare("training.before-log-record")
AFTER_LOG = faultpoints.declare("training.after-log-record")

#: Name of the shim's output file in an attempt directory.
OUTPUT = "output.log"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one host printed since the last batch, and the values found in it."""

    log: tables.HostLog
    read: output_reading.Read
    points: tuple[Point, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batches:
    """One look at all logs of an attempt. ``more``: a log was longer than one look takes."""

    batches: tuple[Batch, ...]
    more: bool

    @property
    def empty(self) -> bool:
        return not self.batches


class LogPump:
    """The logs of one attempt: where each stands, and the expressions that are searched in them."""

    def __init__(self, job: Job):
        specification = job.request["AlgorithmSpecification"]
        own = specification.get("MetricDefinitions", [])
        algorithm = job.row.body.get("algorithm")
        self._scanner = MetricScanner(
            builtin.effective_definitions(algorithm, own), builtin.needed_texts(algorithm, own)
        )
        self._told: set[str] = set()
        #: When there was last something to carry; a fresh pump expects something soon.
        self.active_us = job.platform.clock.monotonic_us()
        self._logs = job.platform.store.read(
            lambda conn: {log.host: log for log in tables.host_logs(conn, job.row.id, job.attempt.number)}
        )

    def look(self, job: Job, ended: Mapping[str, bool]) -> Batches:
        """Read what is new; ``ended`` says of each host whether nothing can follow."""
        batches, more = [], False
        for host, log in self._logs.items():
            read = output_reading.read(job.directory(host) / OUTPUT, log.offset, ended=ended[host])
            more = more or read.more
            if read.end > read.start:
                points = tuple(self._scanner.scan(read.lines))
                batches.append(Batch(log, read, points, self._new_notices()))
        if batches:
            self.active_us = job.platform.clock.monotonic_us()
        return Batches(tuple(batches), more)

    def record(self, job: Job, batches: Batches, tx: Connection) -> None:
        """Store a look, in the caller's transaction. Raises LogMoved when somebody else did."""
        telemetry = job.platform.telemetry.of(job.row.account, job.row.region)
        for batch in batches.batches:
            log, read = batch.log, batch.read
            tables.advance_log(tx, job.row.id, job.attempt.number, log.host, read.start, read.end)
            events = [_event(line) for line in read.lines]
            events += [(events[-1][0], notice) for notice in batch.notices if events]
            telemetry.logs.append(tx, LOG_GROUP, log.stream, events)
            telemetry.metrics.put_many(tx, LOG_GROUP, [_metric(job.row.name, point) for point in batch.points])
        newest = metrics.latest(
            sorted((point for b in batches.batches for point in b.points), key=lambda point: point.timestamp_ms)
        )
        tables.put_metrics(tx, job.row.id, [(p.name, p.value, p.timestamp_ms * 1000) for p in newest.values()])

    def recorded(self, batches: Batches) -> None:
        """After the commit: the next look begins behind these batches."""
        for batch in batches.batches:
            log = batch.log
            self._logs[log.host] = tables.HostLog(log.host, log.stream, batch.read.end)

    def carry(self, job: Job, batches: Batches) -> None:
        """Record a look in a transaction of its own."""
        faultpoints.reach(BEFORE_LOG)
        job.platform.store.write(lambda tx: self.record(job, batches, tx))
        self.recorded(batches)
        faultpoints.reach(AFTER_LOG)

    def _new_notices(self) -> tuple[str, ...]:
        fresh = {name: text for name, text in self._scanner.abandoned.items() if name not in self._told}
        self._told |= set(fresh)
        return tuple(
            f"[sagebrush] The regular expression of metric '{name}' took longer than {metrics.TIME_LIMIT} s on a line "
            f"that begins with '{text}'; it is not searched any more."
            for name, text in fresh.items()
        )


def _event(line: LogLine) -> tuple[int, str]:
    return line.timestamp_ms, line.text


def _metric(job_name: str, point: Point) -> MetricPoint:
    return MetricPoint(point.name, point.timestamp_ms * 1000, point.value, {"TrainingJobName": job_name}, None)
