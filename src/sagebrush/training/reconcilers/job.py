"""One job in hand: the stored row, its newest attempt, its places on disk, and how its phase is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sagebrush.substrate.compute import Observation
from sagebrush.substrate.errors import CallerError, JobFailure, Refused
from sagebrush.substrate.identity.job_credentials import SECONDS, SESSION_NAME
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import Lease, Row, fetch_by_id, transition
from sagebrush.training import tables
from sagebrush.training.model import phases, times, wording
from sagebrush.training.model.cluster import Cluster, cluster_of
from sagebrush.training.model.description import phase_of
from sagebrush.training.model.phases import Phase
from sagebrush.training.resources import TRAINING_JOB

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
ENDED_PHASES = frozenset({"exited", "lost"})
_STOP_CHECK_US = 500_000


def job_directory(data_dir: Path, resource_id: str) -> Path:
    """Where everything of a job lies while it runs: ``<data_dir>/jobs/<resource id>``."""
    return data_dir / "jobs" / resource_id


@dataclass(frozen=True)
class Job:
    """What a step works with; nothing here outlives the step."""

    platform: Platform
    row: Row
    lease: Lease
    attempt: tables.Attempt

    @property
    def request(self) -> Mapping[str, Any]:
        """CreateTrainingJob's members as stored."""
        request: Mapping[str, Any] = self.row.body["request"]
        return request

    @property
    def phase(self) -> Phase:
        return phase_of(self.row)

    @cached_property
    def cluster(self) -> Cluster:
        return cluster_of(self.request["ResourceConfig"])

    @property
    def isolated(self) -> bool:
        """EnableNetworkIsolation."""
        return bool(self.request.get("EnableNetworkIsolation"))

    def directory(self, host: str) -> Path:
        """The attempt directory of one host, the identity of its launch."""
        root = job_directory(self.platform.settings.data_dir, self.row.id)
        return root / str(self.attempt.number) / host

    def opt_ml(self, host: str) -> Path:
        """What the host sees as /opt/ml."""
        return self.directory(host) / "opt" / "ml"

    def observations(self) -> dict[str, Observation]:
        """What is known of every host now, in order."""
        return {host: self.platform.compute.launcher.observe(self.directory(host)) for host in self.cluster.names}

    @property
    def holder(self) -> str:
        """Under which name the job keeps its input in the object store."""
        return f"{self.row.kind}/{self.row.id}"

    def let_go(self) -> None:
        """The job has its input, or needs none any more; doing it again does nothing."""
        if self.request.get("InputDataConfig"):
            self.platform.objects.unpin(self.holder)

    def kill(self) -> bool:
        """Kill every host that runs; False when none did."""
        live = [host for host, seen in self.observations().items() if seen.phase in ("starting", "running")]
        for host in live:
            self.platform.compute.launcher.kill(self.directory(host))
        return bool(live)

    @property
    def deadline(self) -> tuple[int, str]:
        """The earlier of both deadlines and its name, as ``Attempt.ending`` has it."""
        condition = self.request["StoppingCondition"]
        runtime = times.runtime_deadline_us(condition, self.row.body.get("started_us", self.row.created_us))
        wait = times.wait_deadline_us(condition, self.row.created_us)
        return (runtime, "runtime") if wait is None or runtime <= wait else (wait, "wait")

    def deadline_passed(self) -> phases.Event | None:
        """The event that a passed deadline is; None while there is time left."""
        until, why = self.deadline
        if self.platform.clock.now_us() < until:
            return None
        return phases.Event.RUNTIME_EXCEEDED if why == "runtime" else phases.Event.WAIT_EXCEEDED

    def allowed(self, action: str, resource_arn: str) -> None:
        """Whether the job's role may do this. Raises CallerError AccessDenied."""
        self.platform.identity.authorize(self._principal, action, resource_arn)

    @cached_property
    def _principal(self) -> Any:
        role = self.request["RoleArn"]
        try:
            return self.platform.identity.role_session(role, SESSION_NAME, SECONDS).principal
        except CallerError as error:
            raise Refused(
                JobFailure("ClientError", f"The role {role} cannot be assumed: {error.code}: {error.message}")
            ) from None

    def ends(self) -> dict[str, Observation]:
        """As :meth:`observations`, of hosts that were launched: one of which nothing is known any more is lost."""
        return {h: replace(s, phase="lost") if s.phase == "absent" else s for h, s in self.observations().items()}

    def stop_check(self) -> Callable[[], bool]:
        """Tells, as often as it is asked, whether somebody has asked the job to stop since the step began."""
        asked_us = self.platform.clock.monotonic_us()
        stopped = False

        def check() -> bool:
            nonlocal asked_us, stopped
            now = self.platform.clock.monotonic_us()
            if now - asked_us >= _STOP_CHECK_US:
                asked_us = now
                row = self.platform.store.read(lambda conn: fetch_by_id(conn, self.row.id))
                stopped = stopped or row is None or row.status != self.row.status
            return stopped

        return check

    def start_check(self) -> Callable[[], bool]:
        """As :meth:`stop_check`, and true past a deadline too."""
        stopped = self.stop_check()
        return lambda: stopped() or self.deadline_passed() is not None

    def enter(
        self, tx: Any, event: phases.Event, *, message: str | None = None, changes: Mapping[str, Any] | None = None
    ) -> Row:
        """Record the phase that ``event`` leads to, in the caller's transaction. Raises Conflict, LeaseLost."""
        target = phases.after(self.phase, event)
        return transition(
            tx,
            TRAINING_JOB,
            self.row,
            event.value,
            now_us=self.platform.clock.now_us(),
            lease=self.lease,
            secondary=target.secondary.value,
            message=wording.MESSAGES[target.secondary] if message is None else message,
            changes={"secondary": target.secondary.value} | dict(changes or {}),
        )
