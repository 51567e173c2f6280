"""The reconciler of endpoints: which step belongs to which state.

Every step begins from the stored row, the stored replicas and what is on disk, and may be killed at any instruction:
launches, terminations and removals can be repeated without a second effect, and what is recorded is recorded together
with what the front door is to be told of it.
"""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.model import wording
from sagebrush.inference.model.states import Event, Status
from sagebrush.inference.reconcilers import logs, rollout
from sagebrush.inference.reconcilers.capturing import Capturing
from sagebrush.inference.reconcilers.counting import Counting
from sagebrush.inference.reconcilers.deployment import Deployment
from sagebrush.inference.reconcilers.draining import Drainer
from sagebrush.inference.reconcilers.ending import Ender
from sagebrush.inference.reconcilers.keeping import Keeper
from sagebrush.inference.reconcilers.provisions import Provisions
from sagebrush.inference.reconcilers.replacing import verdict
from sagebrush.inference.reconcilers.routes import Routes
from sagebrush.inference.reconcilers.sweeping import Sweeper
from sagebrush.inference.resources import ENDPOINT
from sagebrush.substrate.errors import Refused
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.substrate.resources import Lease, Resource, Row

#: Seconds between steps of an endpoint with news, without, and without for long. The end of a replica wakes it.
_LIVELY, _QUIET, _ASLEEP = 0.2, 2.0, 5.0
_LATELY_US, _LONG_US = 5_000_000, 60_000_000
_LOOK_AT_BUILD = 1.0
#: Seconds until the front door is asked again whether it goes by the newest routes.
_UNHEARD = 0.05
#: After giving up on an endpoint that serves, or failed: it stays what it is, and its steps are tried again.
_AFTER_GIVING_UP = 60.0


class EndpointReconciler:
    """Moves endpoints from their creation to their end, and looks after them in between."""

    def __init__(self) -> None:
        self._provisions = Provisions()
        self._keeper = Keeper(self._provisions)
        self._routes = Routes()
        self._drainer = Drainer(self._routes, self._keeper)
        self._counting = Counting()
        self._capturing = Capturing()
        self._ender = Ender(self._routes, self._drainer, self._provisions, self._counting, self._capturing)
        self._sweeper = Sweeper()
        self._lock = threading.Lock()
        self._active_us: dict[str, int] = {}

    @property
    def resource(self) -> Resource:
        return ENDPOINT

    def step(self, platform: Platform, row: Row, lease: Lease) -> Again | Done:
        """Take the step of the row's state."""
        self._sweeper.begin(platform)
        self._routes.publish(platform)
        replicas = platform.store.read(lambda conn: tables.replicas_of(conn, row.id))
        deployment = Deployment(platform, row, lease, replicas)
        try:
            outcome = self._step(deployment)
        except tables.Moved:
            # Somebody else carried a log or a count further: begin from what is stored.
            self._counting.forget(row.id)
            return Again()
        if isinstance(outcome, Done):
            self._forget(deployment)
        return outcome

    def give_up(self, platform: Platform, row: Row, lease: Lease, error: Exception) -> Again | Done:
        """End what cannot go on, and say why. What serves goes on serving, whatever is wrong with its steps."""
        replicas = platform.store.read(lambda conn: tables.replicas_of(conn, row.id))
        deployment = Deployment(platform, row, lease, replicas)
        told = wording.could_not_go_on(row.status, error, row.id)
        if deployment.status is Status.CREATING:
            return self._ender.fail(deployment, told)
        if deployment.status is Status.UPDATING:
            _give_up_update(deployment, told)
            return Again()
        if deployment.status is Status.DELETING:
            outcome = self._ender.abandon(deployment)
            if isinstance(outcome, Done):
                self._forget(deployment)
            return outcome
        if deployment.status is Status.FAILED:
            self._ender.kill(deployment)
        return Again(_AFTER_GIVING_UP)

    def _step(self, deployment: Deployment) -> Again | Done:
        if deployment.status is Status.DELETING:
            return self._ender.delete(deployment)
        if deployment.status is Status.FAILED:
            return self._ender.tidy(deployment)
        provided = True
        if deployment.coming is not None:
            try:
                provided = rollout.provide(deployment, self._provisions, deployment.coming)
            except Refused as refused:
                return self._give_way(deployment, refused.failure.message)
        if deployment.coming is not None and provided and rollout.is_up(deployment, deployment.coming):
            rollout.switch(deployment, deployment.coming)
            return Again()
        return self._tend(deployment, provided=provided)

    def _tend(self, deployment: Deployment, *, provided: bool) -> Again:
        """Replicas, those that are to go, and what all of them leave."""
        coming = deployment.coming
        wanted = [r for r in deployment.revisions if r is not coming or provided]
        if self._keeper.fill(deployment, *wanted):
            return Again()
        look = self._keeper.look(deployment)
        if reason := verdict(deployment, look.failed):
            return self._give_way(deployment, reason)
        if look.changed:
            self._keeper.record(deployment, look)
            return Again()
        self._tell_first(deployment)
        draining = self._drainer.drain(deployment)
        if draining == 0.0:
            return Again()
        self._carry(deployment)
        if deployment.status is not Status.IN_SERVICE and coming is None and draining is None:
            settled = rollout.settle(deployment, self._routes, self._provisions)
            return Again(0.0 if settled else _UNHEARD)
        seconds = [s for s in (look.again, draining, self._pace(deployment)) if s is not None]
        return Again(min(seconds + ([] if provided else [_LOOK_AT_BUILD])))

    def _give_way(self, deployment: Deployment, reason: str) -> Again:
        """A fleet that cannot be: away with it, and with the endpoint where there is no other."""
        if deployment.coming is not None and deployment.current is not None:
            rollout.roll_back(deployment, reason)
            return Again()
        return self._ender.fail(deployment, reason)

    def _tell_first(self, deployment: Deployment) -> None:
        """Let the front door know of an endpoint that does not serve yet, so that it can say so."""
        if deployment.current is None:
            row, route = deployment.row, deployment.route(None, (), deployment.status)
            if not deployment.platform.store.read(lambda conn: tables.is_routed(conn, row.id)):
                deployment.write(lambda tx: tables.put_route(tx, row.id, row.name, route))

    def _carry(self, deployment: Deployment) -> None:
        news = [
            logs.carry(deployment),
            self._counting.carry(deployment),
            self._capturing.carry(deployment),
        ]
        if any(news):
            with self._lock:
                self._active_us[deployment.row.id] = deployment.platform.clock.monotonic_us()

    def _pace(self, deployment: Deployment) -> float:
        now = deployment.platform.clock.monotonic_us()
        with self._lock:
            since = now - self._active_us.setdefault(deployment.row.id, now)
        if since < _LATELY_US:
            return _LIVELY
        return _QUIET if since < _LONG_US else _ASLEEP

    def _forget(self, deployment: Deployment) -> None:
        with self._lock:
            self._active_us.pop(deployment.row.id, None)
        self._counting.forget(deployment.row.id)
        self._capturing.forget(deployment.row.id)
        for replica in deployment.replicas:
            self._keeper.forget(replica.id)


def _give_up_update(deployment: Deployment, told: str) -> None:
    """What serves goes on; what is left of the other fleet is taken away from there."""

    def record(tx: Connection) -> None:
        deployment.enter(tx, Event.SERVE, {"next": None, "failure_reason": told})
        deployment.drain(tx, deployment.surplus(deployment.current))

    deployment.platform.store.write(record)
