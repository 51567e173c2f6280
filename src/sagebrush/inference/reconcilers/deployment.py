"""One endpoint in hand: the stored row, its replicas, its places on disk, and how changes of it are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.model import containers, revisions, routing
from sagebrush.inference.model.revisions import Revision, Variant
from sagebrush.inference.model.states import Event, Status
from sagebrush.inference.resources import ENDPOINT
from sagebrush.inference.tables import Replica
from sagebrush.substrate.compute import Observation
from sagebrush.substrate.errors import CallerError, JobFailure, Refused
from sagebrush.substrate.identity.job_credentials import SECONDS, SESSION_NAME
from sagebrush.substrate.objects.locations import S3Location
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import Conflict, Lease, LeaseLost, Row, fetch_by_id, transition, update_body
from sagebrush.substrate.resources.ulids import new_ulid

T = TypeVar("T")

RUNNING = frozenset({"starting", "running"})
ENDED = frozenset({"exited", "lost"})
OUTPUT = "output.log"


def endpoints_directory(data_dir: Path) -> Path:
    """Where everything of endpoints lies: ``<data_dir>/endpoints``."""
    return data_dir / "endpoints"


@dataclass(frozen=True)
class Deployment:
    """What a step works with; nothing here outlives the step."""

    platform: Platform
    row: Row
    lease: Lease
    replicas: tuple[Replica, ...]

    @property
    def status(self) -> Status:
        """As it was when the step began."""
        return Status(self.row.status)

    @cached_property
    def current(self) -> Revision | None:
        """What serves, or is to serve as soon as the front door knows."""
        return revisions.read(self.row.body.get("current"))

    @cached_property
    def coming(self) -> Revision | None:
        """What is being brought up."""
        return revisions.read(self.row.body.get("next"))

    @property
    def revisions(self) -> list[Revision]:
        """Those whose replicas are looked after; of one number, the one that is to be."""
        if self.coming is None:
            return [self.current] if self.current is not None else []
        if self.current is None or self.current.number == self.coming.number:
            return [self.coming]
        return [self.current, self.coming]

    def revision_of(self, replica: Replica) -> Revision | None:
        """The revision that a replica belongs to; None for one that is gone."""
        return next((r for r in (self.coming, self.current) if r is not None and r.number == replica.revision), None)

    def variant_of(self, replica: Replica) -> Variant | None:
        """The variant that a replica belongs to; None for one that is gone."""
        revision = self.revision_of(replica)
        return next((v for v in revision.variants if v.name == replica.variant), None) if revision else None

    # -- places -----------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """Where everything of this endpoint lies."""
        return endpoints_directory(self.platform.settings.data_dir) / self.row.id

    @property
    def spool(self) -> Path:
        """Where the front door leaves its counts and captured data."""
        return self.platform.settings.data_dir / routing.spool(self.row.id)

    def directory(self, replica: Replica) -> Path:
        """The attempt directory of a replica, the identity of its launch."""
        return self.root / replica.id

    def opt_ml(self, replica: Replica) -> Path:
        """What the replica sees as /opt/ml."""
        return self.directory(replica) / "opt" / "ml"

    def cpus(self, variant: Variant) -> float:
        """What each replica of a variant may use of this host's processors."""
        compute = self.platform.compute
        instance = compute.instances.get(variant.instance_type)
        return compute.capacity.fit(instance).limits.cpus if instance is not None else 1.0

    @property
    def log_group(self) -> str:
        """Where what replicas print goes."""
        return f"/aws/sagemaker/Endpoints/{self.row.name}"

    # -- replicas ---------------------------------------------------------------------------------------------------

    def observe(self, replica: Replica) -> Observation:
        """What is known of a replica now."""
        return self.platform.compute.launcher.observe(self.directory(replica))

    def of(self, revision: Revision, *states: str) -> list[Replica]:
        """The replicas of a revision in these states whose place in it exists."""
        slots = set(revision.slots)
        return [
            r
            for r in self.replicas
            if r.revision == revision.number and r.state in states and (r.variant, r.slot) in slots
        ]

    def missing(self, revision: Revision) -> list[Replica]:
        """A new replica for each place of a revision that has none."""
        held = {(r.variant, r.slot) for r in self.of(revision, tables.STARTING, tables.READY)}
        return [self.new_replica(revision, v, n) for v, n in revision.slots if (v, n) not in held]

    def surplus(self, *wanted: Revision | None) -> list[Replica]:
        """Living replicas that have no place in any of these revisions."""
        kept = {r.id for revision in wanted if revision for r in self.of(revision, tables.STARTING, tables.READY)}
        return [r for r in self.replicas if r.state != tables.DRAINING and r.id not in kept]

    @property
    def draining(self) -> list[Replica]:
        """Replicas that are to be ended and removed."""
        return [r for r in self.replicas if r.state == tables.DRAINING]

    def new_replica(
        self,
        revision: Revision,
        variant_name: str,
        slot: int,
        *,
        ends: int = 0,
        failures: int = 0,
        start_at_us: int | None = None,
    ) -> Replica:
        """A replica that nobody knows of yet; ``ends`` and ``failures`` of its predecessors as ``crashes`` counts."""
        now = self.platform.clock.now_us()
        variant = revision.variant(variant_name)
        return Replica(
            id=new_ulid(now),
            endpoint_id=self.row.id,
            revision=revision.number,
            variant=variant_name,
            slot=slot,
            state=tables.STARTING,
            workers=containers.workers(variant.container, self.cpus(variant)),
            timeout_seconds=containers.timeout_seconds(
                variant.container, self.platform.settings.invocation_timeout_seconds
            ),
            ends=ends,
            failures=failures,
            start_at_us=now if start_at_us is None else start_at_us,
        )

    def route(self, revision: Revision | None, serving: Iterable[Replica], status: str) -> dict[str, Any]:
        """What the front door is to be told."""
        relative = f"endpoints/{self.row.id}"
        return routing.entry(
            endpoint_id=self.row.id,
            arn=self.row.arn,
            status=status,
            revision=revision,
            serving=[
                routing.Serving(r.variant, r.id, tuple(f"{relative}/{r.id}/{name}" for name in r.sockets))
                for r in serving
            ],
            timeout_seconds=self.platform.settings.invocation_timeout_seconds,
        )

    # -- rights -----------------------------------------------------------------------------------------------------

    def allowed(self, role_arn: str) -> Callable[[str, S3Location], None]:
        """Tells whether a role may do an action on a location: raises CallerError AccessDenied. Raises Refused."""
        identity = self.platform.identity
        try:
            principal = identity.role_session(role_arn, SESSION_NAME, SECONDS).principal
        except CallerError as error:
            told = f"The role {role_arn} cannot be assumed: {error.code}: {error.message}"
            raise Refused(JobFailure("ClientError", told)) from None
        return lambda action, location: identity.authorize(principal, action, location.arn)

    # -- records ----------------------------------------------------------------------------------------------------

    def write(self, record: Callable[[Connection], T]) -> T:
        """Record something that is no change of the row, if the lease still holds and the row is as it was read.

        Raises LeaseLost or Conflict; then nothing happened.
        """

        def guarded(tx: Connection) -> T:
            self.check(tx)
            return record(tx)

        return self.platform.store.write(guarded)

    def check(self, tx: Connection) -> None:
        """Raises LeaseLost or Conflict where somebody else has the endpoint, or has changed it."""
        row = fetch_by_id(tx, self.row.id)
        if row is None or row.lease_token != self.lease.token:
            raise LeaseLost(f"{self.row.arn}: lease {self.lease.token} was taken over")
        if row.generation != self.row.generation:
            raise Conflict(f"{self.row.arn} changed since generation {self.row.generation}")

    def enter(self, tx: Connection, event: Event, changes: Mapping[str, Any] | None = None) -> Row:
        """Record the state that ``event`` leads to, in the caller's transaction. Raises Conflict, LeaseLost."""
        now = self.platform.clock.now_us()
        return transition(tx, ENDPOINT, self.row, event, now_us=now, lease=self.lease, changes=changes)

    def change(self, tx: Connection, changes: Mapping[str, Any], message: str | None = None) -> Row:
        """Record changes of the body without a change of state. Raises Conflict, LeaseLost."""
        now = self.platform.clock.now_us()
        return update_body(tx, self.row, changes, now_us=now, lease=self.lease, message=message)

    def drain(self, tx: Connection, replicas: Sequence[Replica]) -> None:
        """Record that replicas are to go."""
        tables.set_draining(tx, [r.id for r in replicas], self.platform.clock.now_us())
