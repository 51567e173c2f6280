"""The right to work on a resource, and the two ways of having lost the race for it."""

from __future__ import annotations

from dataclasses import dataclass

from sagebrush.substrate.errors import Fault


class LeaseLost(Fault):
    """Somebody else works on the row now; whatever was computed must not be recorded."""


class Conflict(Fault):
    """The row changed since it was read; load it again."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one resource; ``token`` is the fencing number that grows with every taking."""

    resource_id: str
    owner: str
    token: int
