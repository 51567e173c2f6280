"""Capacity: how much of the host running jobs may take together, admitted by reservations in the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from sagebrush.substrate.compute.instances import InstanceType
from sagebrush.substrate.compute.specification import Limits
from sagebrush.substrate.compute.tables import reservations
from sagebrush.substrate.errors import CallerError, JobFailure

#: Sums of floats: less than this is no capacity.
_TOLERANCE = 1e-6
#: Processes and threads of one host of a job: more than programs have, and too few to take the machine down.
MOST_PROCESSES = 4096


@dataclass(frozen=True, slots=True)
class Fit:
    """What a job of ``count`` hosts gets here: the whole reservation, each host's limits, and what to tell the user.

    ``notice`` is empty when the host is big enough. ``failure`` is set instead of a fit in strict mode.
    """

    vcpus: float
    memory_gib: float
    limits: Limits
    notice: str = ""
    failure: JobFailure | None = None


class Capacity:
    """Admission of jobs to this host. The order (first come, first served) is the caller's."""

    def __init__(self, vcpus: float, memory_gib: float, *, strict: bool = False):
        self.vcpus = vcpus
        self.memory_gib = memory_gib
        self._strict = strict

    def fit(self, instance: InstanceType, count: int = 1) -> Fit:
        """Clamp ``count`` hosts of this type to the host, saying so; in strict mode a ``failure`` says why not."""
        vcpus, memory = min(instance.vcpus * count, self.vcpus), min(instance.memory_gib * count, self.memory_gib)
        # A type without known size counts as the whole host.
        vcpus, memory = vcpus or self.vcpus, memory or self.memory_gib
        limits = Limits(int(memory / count * 2**30), cpus=vcpus / count, pids=MOST_PROCESSES)
        if instance.vcpus * count <= self.vcpus and instance.memory_gib * count <= self.memory_gib:
            return Fit(vcpus, memory, limits)
        size = (
            f"{count} x {instance.name} has {instance.vcpus * count} vCPU and {instance.memory_gib * count:g} GiB, "
            f"this host offers {self.vcpus:g} vCPU and {self.memory_gib:.1f} GiB"
        )
        if self._strict:
            return Fit(0.0, 0.0, Limits(), failure=JobFailure("CapacityError", f"{size} (setting instances: strict)"))
        notice = f"{size}: each host of the job gets {vcpus / count:.3g} vCPU and {memory / count:.3g} GiB"
        return Fit(vcpus, memory, limits, notice)

    def check(self, instance: InstanceType, count: int = 1) -> None:
        """For operations: raises CallerError ``ResourceLimitExceeded`` when strict mode refuses the type."""
        failure = self.fit(instance, count).failure
        if failure is not None:
            raise CallerError("ResourceLimitExceeded", failure.message)

    def admit(self, tx: Connection, *, owner_id: str, vcpus: float, memory_gib: float) -> bool:
        """Reserve capacity for the owner; True also when it already has a reservation. Wants are clamped to the host.

        The sum of all reservations never exceeds the host, whoever asks at once: the writer runs one at a time.
        """
        if tx.execute(select(reservations.c.owner_id).where(reservations.c.owner_id == owner_id)).first():
            return True
        vcpus, memory_gib = min(vcpus, self.vcpus), min(memory_gib, self.memory_gib)
        used_vcpus, used_memory = self.used(tx)
        if used_vcpus + vcpus > self.vcpus + _TOLERANCE or used_memory + memory_gib > self.memory_gib + _TOLERANCE:
            return False
        tx.execute(insert(reservations).values(owner_id=owner_id, vcpus=vcpus, memory_gib=memory_gib))
        return True

    def release(self, tx: Connection, owner_id: str) -> None:
        """Give the owner's capacity back; nothing happens when it has none."""
        tx.execute(delete(reservations).where(reservations.c.owner_id == owner_id))

    def used(self, conn: Connection) -> tuple[float, float]:
        """vCPUs and GiB that are reserved now."""
        row = conn.execute(select(func.sum(reservations.c.vcpus), func.sum(reservations.c.memory_gib))).one()
        return float(row[0] or 0.0), float(row[1] or 0.0)
