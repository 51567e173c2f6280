"""Replicas: launched, asked whether they answer, put into service, replaced when they end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.engine.probing import Probe
from sagebrush.inference.model import crashes, wording
from sagebrush.inference.model.revisions import Revision, Variant
from sagebrush.inference.model.states import Status
from sagebrush.inference.reconcilers import launching
from sagebrush.inference.reconcilers.deployment import ENDED, Deployment
from sagebrush.inference.reconcilers.provisions import Pending, Provisions
from sagebrush.inference.reconcilers.replacing import Failed, ended, successor
from sagebrush.inference.tables import Replica
from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Observation
from sagebrush.substrate.errors import Refused

BEFORE_REPLICAS = faultpoints.declare("inference.before-replicas-record")
AFTER_REPLICAS = faultpoints.declare("inference.after-replicas-record")
BEFORE_READY = faultpoints.declare("inference.before-ready-record")
AFTER_READY = faultpoints.declare("inference.after-ready-record")

#: A step launches replicas for so long; then others have their turn.
_LAUNCHING_US = 200_000


@dataclass(slots=True)
class Look:
    """What one look at all replicas found. ``again``: seconds until the next look is due, None if nothing moves."""

    ready: list[Replica] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    again: float | None = None

    def sooner(self, seconds: float) -> None:
        """The next look is due in so many seconds at the latest."""
        self.again = seconds if self.again is None else min(self.again, seconds)

    @property
    def changed(self) -> bool:
        return bool(self.ready or self.failed)


class Keeper:
    """Looks after replicas. Remembers questions that are not answered yet; forgetting them costs another question."""

    def __init__(self, provisions: Provisions):
        self._provisions = provisions
        self._lock = threading.Lock()
        self._probes: dict[str, Probe] = {}
        self._watched: set[str] = set()

    def fill(self, deployment: Deployment, *revisions: Revision) -> bool:
        """Record a replica for every place that has none; False where there is none such."""
        missing = [replica for revision in revisions for replica in deployment.missing(revision)]
        if not missing:
            return False
        faultpoints.reach(BEFORE_REPLICAS)
        deployment.write(lambda tx: tables.add_replicas(tx, missing))
        faultpoints.reach(AFTER_REPLICAS)
        return True

    def look(self, deployment: Deployment) -> Look:
        """Look at every replica that is to live; launch those whose time has come."""
        look = Look()
        clock = deployment.platform.clock
        until = clock.monotonic_us() + _LAUNCHING_US
        for replica in deployment.replicas:
            variant = deployment.variant_of(replica)
            if replica.state == tables.DRAINING or variant is None:
                continue
            seen = deployment.observe(replica)
            if seen.phase in ENDED or (seen.phase == "absent" and replica.launched_us is not None):
                # Now, and not when it is recorded: of an endpoint that fails with it, nothing more is.
                self._close_probe(replica.id)
                look.failed.append(ended(deployment, replica, variant, seen))
            elif replica.state == tables.READY:
                self._watch(deployment, replica)
            elif seen.phase == "absent":
                if clock.monotonic_us() < until:
                    self._start(deployment, replica, variant, look)
                else:
                    look.sooner(0.0)
            else:
                self._await(deployment, replica, variant, seen, look)
        return look

    def record(self, deployment: Deployment, look: Look) -> None:
        """Record a look: who is ready, who is gone, who comes in their place; and what the front door is to be told."""
        now = deployment.platform.clock.now_us()
        gone = {failed.replica.id for failed in look.failed}
        replaced = [(failed, s) for failed in look.failed if (s := successor(deployment, failed)) is not None]

        def record(tx: Connection) -> None:
            tables.set_ready(tx, [replica.id for replica in look.ready], now)
            deployment.drain(tx, [failed.replica for failed in look.failed])
            tables.add_replicas(tx, [replica for _, replica in replaced])
            _tell_log(deployment, tx, [failed for failed, _ in replaced], now)
            put_route(deployment, tx, ready=look.ready, gone=gone)

        if look.ready:
            faultpoints.reach(BEFORE_READY)
        deployment.write(record)
        if look.ready:
            faultpoints.reach(AFTER_READY)
        for replica_id in [*gone, *(replica.id for replica in look.ready)]:
            self._close_probe(replica_id)

    def forget(self, replica_id: str) -> None:
        """Drop what is remembered of a replica that is gone."""
        self._close_probe(replica_id)
        with self._lock:
            self._watched.discard(replica_id)

    # -- one replica ------------------------------------------------------------------------------------------------

    def _start(self, deployment: Deployment, replica: Replica, variant: Variant, look: Look) -> None:
        wait = (replica.start_at_us - deployment.platform.clock.now_us()) / 1e6
        if wait > 0:
            look.sooner(wait)
            return
        revision = deployment.revision_of(replica)
        assert revision is not None
        try:
            environment = self._provisions.environment(deployment, variant)
            if isinstance(environment, Pending):
                look.sooner(1.0)
                return
            artefacts = self._provisions.artefacts(deployment, revision)[variant.name]
            launching.launch(deployment, replica, variant, environment, artefacts)
        except Refused as refused:
            look.failed.append(Failed(replica, refused.failure.message, deployment.platform.clock.now_us()))
            return
        self._watch(deployment, replica)
        look.sooner(0.02)

    def _await(self, deployment: Deployment, replica: Replica, variant: Variant, seen: Observation, look: Look) -> None:
        """A replica that was launched and is not in service yet."""
        if replica.launched_us is None:
            # Killed between the launch and its record.
            launching.record_launch(deployment, replica)
        self._watch(deployment, replica)
        now = deployment.platform.clock.now_us()
        since = seen.started_us or replica.launched_us or now
        if seen.phase == "running" and self._probe(deployment, replica).look():
            look.ready.append(replica)
        elif now - since > (variant.startup_seconds + variant.download_seconds) * 1_000_000:
            deployment.platform.compute.launcher.kill(deployment.directory(replica))
            why = wording.timed_out(variant.startup_seconds, variant.download_seconds)
            look.failed.append(Failed(replica, why, now, hopeless=True))
        else:
            # Most come up within seconds; who waits for a large model need not be asked so often.
            look.sooner(0.05 if now - since < 10_000_000 else 0.25)

    def _probe(self, deployment: Deployment, replica: Replica) -> Probe:
        with self._lock:
            probe = self._probes.get(replica.id)
            if probe is None:
                directory = deployment.directory(replica)
                probe = self._probes[replica.id] = Probe([directory / name for name in replica.sockets])
            return probe

    def _close_probe(self, replica_id: str) -> None:
        with self._lock:
            probe = self._probes.pop(replica_id, None)
        if probe is not None:
            probe.close()

    def _watch(self, deployment: Deployment, replica: Replica) -> None:
        """Let the end of a replica wake the endpoint."""
        with self._lock:
            if replica.id in self._watched:
                return
            self._watched.add(replica.id)
        wakeups, endpoint_id = deployment.platform.wakeups, deployment.row.id
        directory = deployment.directory(replica)
        if directory.is_dir():
            deployment.platform.compute.launcher.watch(directory, lambda: wakeups.notify(endpoint_id))


def put_route(
    deployment: Deployment, tx: Connection, *, ready: list[Replica] | None = None, gone: set[str] | None = None
) -> None:
    """Let the front door be told what serves now, after these changes."""
    current = deployment.current
    if current is None:
        route = deployment.route(None, (), deployment.status)
    else:
        slots = set(current.slots)
        new = [r for r in ready or () if r.revision == current.number and (r.variant, r.slot) in slots]
        serving = [r for r in deployment.of(current, tables.READY) if r.id not in (gone or ())]
        route = deployment.route(current, [*serving, *new], Status.IN_SERVICE)
    tables.put_route(tx, deployment.row.id, deployment.row.name, route)


def _tell_log(deployment: Deployment, tx: Connection, replaced: Sequence[Failed], now_us: int) -> None:
    """An endpoint that goes on has no FailureReason: its log says why replicas end."""
    logs = deployment.platform.telemetry.of(deployment.row.account, deployment.row.region).logs
    for failed in replaced:
        told = wording.replaced(failed.why, crashes.pause_us(failed.ends) / 1e6)
        event = (now_us // 1000, f"[sagebrush] {told}")
        logs.append(tx, deployment.log_group, failed.replica.log_stream, [event])
