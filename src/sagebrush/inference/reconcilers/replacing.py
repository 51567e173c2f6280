"""Replicas that ended: who comes in their place, or why their fleet cannot be (``model/crashes``, ADR 0009)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sagebrush.inference import tables
from sagebrush.inference.engine import counts
from sagebrush.inference.model import crashes, wording
from sagebrush.inference.model.revisions import Variant
from sagebrush.inference.reconcilers.deployment import OUTPUT, Deployment
from sagebrush.inference.reconcilers.provisions import disk_limit, fit_of
from sagebrush.inference.tables import Replica
from sagebrush.substrate.compute import Observation, failure, output_reading
from sagebrush.substrate.compute.user_files import Folder, read_beginning
from sagebrush.substrate.errors import Refused


@dataclass(frozen=True, slots=True)
class Failed:
    """A replica that ended or cannot be started.

    ``hopeless``: another try would end the same way. ``asked``: there were requests to its variant before it ended.
    """

    replica: Replica
    why: str
    ended_us: int
    hopeless: bool = False
    asked: bool = False

    @property
    def ends(self) -> int:
        """How many ended soon, in a row, with this one."""
        return crashes.ends_after(self.replica.ends, self.replica.ready_us, self.ended_us)

    @property
    def failures(self) -> int:
        """How many starts came to nothing, in a row, with this one."""
        return crashes.failures_after(self.replica.failures, self.replica.ready_us, self.ended_us, asked=self.asked)


def ended(deployment: Deployment, replica: Replica, variant: Variant, seen: Observation) -> Failed:
    """What there is to say of a replica that ended."""
    at_us = seen.ended_us or deployment.platform.clock.now_us()
    # Before it was ready it was asked nothing, whatever others of its variant were asked.
    asked = replica.ready_us is not None and counts.asked(deployment.spool, replica.variant, at_us - crashes.ASKED_US)
    return Failed(replica, _why(deployment, replica, variant, seen), at_us, asked=asked)


def verdict(deployment: Deployment, all_failed: Sequence[Failed]) -> str | None:
    """Why the fleet that is being brought up cannot be, or that which serves cannot go on; None while it may."""
    for failed in all_failed:
        replica = failed.replica
        if _is_coming(deployment, replica):
            if failed.hopeless or failed.ends >= crashes.TRIES:
                return wording.ping_failed(replica.variant, failed.why)
        elif (
            deployment.coming is None
            and failed.failures >= crashes.CRASHES
            and _is_last(deployment, all_failed, replica)
        ):
            if replica.ready_us is None:
                return wording.ping_failed(replica.variant, failed.why)
            return wording.crash_loop(replica.variant, failed.failures, failed.why)
    return None


def successor(deployment: Deployment, failed: Failed) -> Replica | None:
    """Who comes in a failed replica's place; None where the place is no more."""
    replica = failed.replica
    place = replica.variant, replica.slot
    revision = next((r for r in deployment.revisions if r.number == replica.revision and place in set(r.slots)), None)
    if revision is None:
        return None
    return deployment.new_replica(
        revision,
        replica.variant,
        replica.slot,
        ends=failed.ends,
        failures=failed.failures,
        start_at_us=deployment.platform.clock.now_us() + crashes.pause_us(failed.ends),
    )


def _is_coming(deployment: Deployment, replica: Replica) -> bool:
    """Whether a replica belongs to what is being brought up, and not to what serves."""
    coming, current = deployment.coming, deployment.current
    if coming is None or replica.revision != coming.number:
        return False
    serves = current is not None and current.number == coming.number
    return not (serves and current is not None and (replica.variant, replica.slot) in set(current.slots))


def _is_last(deployment: Deployment, all_failed: Sequence[Failed], replica: Replica) -> bool:
    """Whether nobody else serves the variant: as long as somebody does, the endpoint goes on."""
    gone = {failed.replica.id for failed in all_failed}
    others = [r for r in deployment.replicas if r.state == tables.READY and r.id not in gone]
    return not any(r.variant == replica.variant and r.revision == replica.revision for r in others)


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
        disk_limit=disk_limit(deployment, variant),
    )
    return failure.explain(end).message
