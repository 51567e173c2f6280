"""Bringing up a fleet, and putting it in the place of another.

    provisions -> replicas -> all ready -> *switch* -> the front door goes by it -> the old fleet drained -> in service

Until the switch nothing of what serves is touched; a fleet that does not come up is taken away again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.model import wording
from sagebrush.inference.model.revisions import Revision
from sagebrush.inference.model.states import Event, Status
from sagebrush.inference.reconcilers.capturing import destination
from sagebrush.inference.reconcilers.deployment import Deployment
from sagebrush.inference.reconcilers.provisions import Pending, Provisions
from sagebrush.inference.reconcilers.routes import Routes
from sagebrush.substrate import faultpoints
from sagebrush.substrate.resources import transitions_of

BEFORE_SWITCH = faultpoints.declare("inference.before-switch-record")
AFTER_SWITCH = faultpoints.declare("inference.after-switch-record")
BEFORE_SERVICE = faultpoints.declare("inference.before-in-service-record")
AFTER_SERVICE = faultpoints.declare("inference.after-in-service-record")


def provide(deployment: Deployment, provisions: Provisions, coming: Revision) -> bool:
    """Whether everything that the coming fleet needs is there; says what is being built. Raises Refused."""
    provisions.artefacts(deployment, coming)
    for variant in coming.variants:
        environment = provisions.environment(deployment, variant)
        if isinstance(environment, Pending):
            _tell(deployment, environment.message)
            return False
    return True


def _tell(deployment: Deployment, message: str) -> None:
    """Show what goes on in VariantStatus."""
    if not message:
        return

    def record(tx: Connection) -> None:
        if transitions_of(tx, deployment.row.id)[-1]["message"] != message:
            deployment.change(tx, {}, message=message)

    deployment.platform.store.write(record)


def is_up(deployment: Deployment, coming: Revision) -> bool:
    """Whether every place of the coming fleet has a replica that answers."""
    return len(deployment.of(coming, tables.READY)) == len(list(coming.slots))


def switch(deployment: Deployment, coming: Revision) -> None:
    """From now on the coming fleet serves, and what has no place in it is to go."""
    changes: dict[str, Any] = {"current": coming.document(), "next": None, "captured_to": _captured_to(deployment)}

    def record(tx: Connection) -> None:
        deployment.change(tx, changes)
        deployment.drain(tx, deployment.surplus(coming))
        route = deployment.route(coming, deployment.of(coming, tables.READY), Status.IN_SERVICE)
        tables.put_route(tx, deployment.row.id, deployment.row.name, route)

    faultpoints.reach(BEFORE_SWITCH)
    deployment.platform.store.write(record)
    faultpoints.reach(AFTER_SWITCH)


def roll_back(deployment: Deployment, reason: str) -> None:
    """The coming fleet does not come up: what serves goes on, and the endpoint says why."""

    def record(tx: Connection) -> None:
        deployment.change(tx, {"next": None, "failure_reason": wording.reason(reason)})
        deployment.drain(tx, deployment.surplus(deployment.current))

    deployment.platform.store.write(record)


def settle(deployment: Deployment, routes: Routes, provisions: Provisions) -> bool:
    """Say that the endpoint is in service, once the front door goes by it and nothing of another fleet is left."""
    if deployment.draining or routes.heard(deployment.platform) is None:
        return False
    provisions.let_go(deployment, deployment.current)
    faultpoints.reach(BEFORE_SERVICE)
    deployment.platform.store.write(lambda tx: deployment.enter(tx, Event.SERVE))
    faultpoints.reach(AFTER_SERVICE)
    return True


def _captured_to(deployment: Deployment) -> dict[str, Any] | None:
    """Where captured data go; those of the fleet before, which are still on their way, go there too."""
    assert deployment.coming is not None
    before: dict[str, Any] | None = deployment.row.body.get("captured_to")
    coming = destination(deployment.coming)
    if coming is None or before is None:
        return coming or before
    return coming | {"roles": before["roles"] | coming["roles"]}
