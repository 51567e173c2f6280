"""The handles that operations and reconcilers work with, bundled once by ``server``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sagebrush.substrate.calls import Calls
    from sagebrush.substrate.clock import Clock
    from sagebrush.substrate.compute import Compute
    from sagebrush.substrate.identity import Identity
    from sagebrush.substrate.objects import ObjectStore
    from sagebrush.substrate.reconcile import Wakeups
    from sagebrush.substrate.settings import Settings
    from sagebrush.substrate.store import Store
    from sagebrush.substrate.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything an operation may reach. No capability opens a database, a socket or the environment by itself."""

    settings: Settings
    clock: Clock
    store: Store
    objects: ObjectStore
    identity: Identity
    telemetry: Telemetry
    compute: Compute
    calls: Calls
    wakeups: Wakeups
