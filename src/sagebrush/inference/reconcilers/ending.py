"""Endpoints that failed or are deleted: nothing of them is routed, runs or lies on disk any more."""

from __future__ import annotations

import logging
from functools import partial

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.model import wording
from sagebrush.inference.model.states import Event, Status
from sagebrush.inference.reconcilers.capturing import Capturing
from sagebrush.inference.reconcilers.counting import Counting
from sagebrush.inference.reconcilers.deployment import RUNNING, Deployment
from sagebrush.inference.reconcilers.draining import Drainer
from sagebrush.inference.reconcilers.provisions import Provisions
from sagebrush.inference.reconcilers.routes import Routes
from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute.removal import remove_tree
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.substrate.resources import soft_delete

_log = logging.getLogger(__name__)

BEFORE_UNROUTE = faultpoints.declare("inference.before-unroute-record")
AFTER_UNROUTE = faultpoints.declare("inference.after-unroute-record")
BEFORE_DELETE = faultpoints.declare("inference.before-delete-record")
AFTER_DELETE = faultpoints.declare("inference.after-delete-record")

_SOON = 0.1


class Ender:
    """The last steps."""

    def __init__(
        self, routes: Routes, drainer: Drainer, provisions: Provisions, counting: Counting, capturing: Capturing
    ):
        self._routes = routes
        self._drainer = drainer
        self._provisions = provisions
        self._counting = counting
        self._capturing = capturing

    def fail(self, deployment: Deployment, reason: str) -> Again:
        """The endpoint failed: it says why, and all its replicas are to go."""

        def record(tx: Connection) -> None:
            deployment.enter(tx, Event.FAIL, {"failure_reason": wording.reason(reason)})
            deployment.drain(tx, deployment.replicas)
            route = deployment.route(None, (), Status.FAILED)
            tables.put_route(tx, deployment.row.id, deployment.row.name, route)

        deployment.platform.store.write(record)
        self._routes.publish(deployment.platform)
        return Again()

    def tidy(self, deployment: Deployment) -> Again | Done:
        """A failed endpoint keeps its name and its reason, and nothing else."""
        self._routes.publish(deployment.platform)
        if (seconds := self._drainer.drain(deployment)) is not None:
            return Again(seconds)
        if not self._carry_rest(deployment):
            return Again()
        self._provisions.let_go(deployment, None)
        return Done()

    def delete(self, deployment: Deployment) -> Again | Done:
        """One step on the way to being gone."""
        self._unroute(deployment)
        if any(replica.state != tables.DRAINING for replica in deployment.replicas):
            return Again()
        if (seconds := self._drainer.drain(deployment)) is not None:
            return Again(seconds)
        # Only when the front door has let go of the endpoint has it left everything it counted and captured.
        if self._routes.heard(deployment.platform) is None:
            return Again(_SOON)
        if not self._carry_rest(deployment):
            return Again()
        return self._remove(deployment)

    def abandon(self, deployment: Deployment) -> Again | Done:
        """Delete an endpoint whose steps fail, without asking anybody."""
        return Again(_SOON) if self.kill(deployment) else self._remove(deployment)

    @staticmethod
    def kill(deployment: Deployment) -> bool:
        """Kill every replica that runs; False when none did."""
        live = [r for r in deployment.replicas if deployment.observe(r).phase in RUNNING]
        for replica in live:
            deployment.platform.compute.launcher.kill(deployment.directory(replica))
        return bool(live)

    def _unroute(self, deployment: Deployment) -> None:
        def record(tx: Connection) -> None:
            deployment.check(tx)
            tables.drop_route(tx, deployment.row.id)
            deployment.drain(tx, deployment.replicas)

        if any(replica.state != tables.DRAINING for replica in deployment.replicas) or self._is_routed(deployment):
            faultpoints.reach(BEFORE_UNROUTE)
            deployment.platform.store.write(record)
            faultpoints.reach(AFTER_UNROUTE)
        self._routes.publish(deployment.platform)

    @staticmethod
    def _is_routed(deployment: Deployment) -> bool:
        return deployment.platform.store.read(partial(tables.is_routed, endpoint_id=deployment.row.id))

    def _carry_rest(self, deployment: Deployment) -> bool:
        """Carry over what the front door left; False while there may be more."""
        more = self._counting.carry(deployment, everything=True)
        return not (self._capturing.carry(deployment, last=True) or more)

    def _remove(self, deployment: Deployment) -> Done:
        self._provisions.let_go(deployment, None)
        try:
            remove_tree(deployment.root)
        except OSError as error:
            _log.warning("the directory of the deleted endpoint %s could not be removed: %s", deployment.root, error)

        def record(tx: Connection) -> None:
            tables.forget(tx, deployment.row.id)
            soft_delete(tx, deployment.row, now_us=deployment.platform.clock.now_us(), lease=deployment.lease)

        faultpoints.reach(BEFORE_DELETE)
        deployment.platform.store.write(record)
        faultpoints.reach(AFTER_DELETE)
        return Done()
