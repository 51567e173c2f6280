"""Replicas: launched, asked whether they answer, put into service, replaced when they end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.engine.probing import Probe
from sagebrush.inference.model import crashes, wording
from sagebrush.inference.model.revisions import Revision, Variant
from sagebrush.inference.model.states import Status
from sagebrush.inference.reconcilers import launching
from sagebrush.inference.reconcilers.deployment import ENDED, OUTPUT, Deployment
from sagebrush.inference.reconcilers.provisions import Pending, Provisions, fit_of
from sagebrush.inference.tables import Replica
from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Observation, failure, output_reading
from sagebrush.substrate.compute.user_files import Folder, read_beginning
from sagebrush.substrate.errors import Refused

BEFORE_REPLICAS = faultpoints.declare("inference.before-replicas-record")
AFTER_REPLICAS = faultpoints.declare("inference.after-replicas-record")
BEFORE_READY = faultpoints.declare("inference.before-ready-record")
AFTER_READY = faultpoints.declare("inference.after-ready-record")

#: A step launches replicas for so long; then others have their turn.
_LAUNCHING_US = 200_000


@dataclass(frozen=True, slots=True)
class Failed:
    """A replica that ended or cannot be started. ``hopeless``: another try would end the same way."""

    replica: Replica
    why: str
    ended_us: int
    hopeless: bool = False


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
                look.failed.append(self._ended(deployment, replica, variant, seen))
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
        successors = [s for failed in look.failed if (s := _successor(deployment, failed))]

        def record(tx: Connection) -> None:
            tables.set_ready(tx, [replica.id for replica in look.ready], now)
            deployment.drain(tx, [failed.replica for failed in look.failed])
            tables.add_replicas(tx, successors)
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
        elif now - since > variant.startup_seconds * 1_000_000:
            deployment.platform.compute.launcher.kill(deployment.directory(replica))
            why = wording.timed_out(variant.startup_seconds)
            look.failed.append(Failed(replica, why, now, hopeless=True))
        else:
            # Most come up within seconds; who waits for a large model need not be asked so often.
            look.sooner(0.05 if now - since < 10_000_000 else 0.25)

    def _ended(self, deployment: Deployment, replica: Replica, variant: Variant, seen: Observation) -> Failed:
        now = deployment.platform.clock.now_us()
        return Failed(replica, _why(deployment, replica, variant, seen), seen.ended_us or now)

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


def verdict(deployment: Deployment, look: Look) -> str | None:
    """Why the fleet that is being brought up cannot be, or that which serves cannot go on; None while it may."""
    for failed in look.failed:
        replica = failed.replica
        failures = crashes.failures_after(replica.failures, replica.ready_us, failed.ended_us)
        if _is_coming(deployment, replica):
            if failed.hopeless or failures >= crashes.TRIES:
                return wording.ping_failed(replica.variant, failed.why)
        elif deployment.coming is None and failures >= crashes.CRASHES and _is_last(deployment, look, replica):
            if replica.ready_us is None:
                return wording.ping_failed(replica.variant, failed.why)
            return wording.crash_loop(replica.variant, failures, failed.why)
    return None


def _is_coming(deployment: Deployment, replica: Replica) -> bool:
    """Whether a replica belongs to what is being brought up, and not to what serves."""
    coming, current = deployment.coming, deployment.current
    if coming is None or replica.revision != coming.number:
        return False
    serves = current is not None and current.number == coming.number
    return not (serves and current is not None and (replica.variant, replica.slot) in set(current.slots))


def _is_last(deployment: Deployment, look: Look, replica: Replica) -> bool:
    """Whether nobody else serves the variant: as long as somebody does, the endpoint goes on."""
    gone = {failed.replica.id for failed in look.failed}
    others = [r for r in deployment.replicas if r.state == tables.READY and r.id not in gone]
    return not any(r.variant == replica.variant and r.revision == replica.revision for r in others)


def _successor(deployment: Deployment, failed: Failed) -> Replica | None:
    """Who comes in a failed replica's place; None where the place is no more."""
    replica = failed.replica
    place = replica.variant, replica.slot
    revision = next((r for r in deployment.revisions if r.number == replica.revision and place in set(r.slots)), None)
    if revision is None:
        return None
    failures = crashes.failures_after(replica.failures, replica.ready_us, failed.ended_us)
    start_at_us = deployment.platform.clock.now_us() + crashes.pause_us(failures)
    return deployment.new_replica(revision, replica.variant, replica.slot, failures=failures, start_at_us=start_at_us)


def _why(deployment: Deployment, replica: Replica, variant: Variant, seen: Observation) -> str:
    """What a replica that ended left as explanation: the model server's own text, else the verdict on its end."""
    if seen.phase == "absent":
        return "Its directory is gone."
    try:
        memory = fit_of(deployment, variant).limits.memory_bytes
    except Refused:
        memory = 0
    end = failure.HostEnd(
        host="model",
        observation=seen,
        failure_file=read_beginning(
            Folder(deployment.opt_ml(replica), "output"), "failure", failure.FAILURE_FILE_LIMIT
        ),
        log_tail=[*output_reading.tail(deployment.directory(replica) / OUTPUT), *seen.lost_output_tail.splitlines()],
        memory_limit_bytes=memory,
    )
    return failure.explain(end).message
