"""Settings -> the handles that operations and reconcilers work with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sagebrush.server.capabilities import registry
from sagebrush.server.stores import identity_of, open_objects, open_state
from sagebrush.substrate.calls import Calls
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.compute import Compute
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import Wakeups
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.telemetry import Telemetry


@contextlib.contextmanager
def open_platform(settings: Settings, clock: Clock) -> Iterator[Platform]:
    """The control plane's handles; everything is closed again at the end."""
    with (
        open_state(settings, clock) as store,
        open_objects(settings, clock) as objects,
        contextlib.closing(Compute(settings)) as compute,
    ):
        yield Platform(
            settings=settings,
            clock=clock,
            store=store,
            objects=objects,
            identity=identity_of(settings, store, clock),
            telemetry=Telemetry(store, clock, account=settings.account, region=settings.region),
            compute=compute,
            calls=Calls(registry()),
            wakeups=Wakeups(),
        )
