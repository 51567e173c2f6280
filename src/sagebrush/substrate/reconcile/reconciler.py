"""What a reconciler is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sagebrush.substrate.resources.lease import Lease
from sagebrush.substrate.resources.resource import Resource, Row

if TYPE_CHECKING:
    from sagebrush.substrate.platform import Platform


@dataclass(frozen=True, slots=True)
class Again:
    """Take another step, after so many seconds or when woken, whichever is earlier."""

    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to do until somebody wakes the resource."""


Outcome = Again | Done


class Reconciler(Protocol):
    """Moves one kind of resource along."""

    @property
    def resource(self) -> Resource:
        """The noun it works on."""

    def step(self, platform: Platform, row: Row, lease: Lease) -> Outcome:
        """One step, idempotent: it may be killed at any instruction and is then repeated from the stored row.

        Runs on a pool thread, one step of a resource at a time. Record through ``transition``/``update_body`` with
        ``lease``. An exception is logged and the step repeated with growing delays; a job's failure is no exception.
        """

    def give_up(self, platform: Platform, row: Row, lease: Lease, error: Exception) -> Outcome:
        """End what cannot go on: its steps failed for about a minute, lastly with ``error``.

        A defect must not hold capacity for ever. As idempotent as a step; needs as little as it can of what a step
        needs, for that is what failed. ``Again`` means another step, and another call here if that one fails too.
        """
