"""Replicas that are to go: once nothing is in flight they are ended, and then removed."""

from __future__ import annotations

import logging

from sagebrush.inference import tables
from sagebrush.inference.engine.front_door import Routed
from sagebrush.inference.reconcilers import logs
from sagebrush.inference.reconcilers.deployment import RUNNING, Deployment
from sagebrush.inference.reconcilers.keeping import Keeper
from sagebrush.inference.reconcilers.launching import GRACE_SECONDS
from sagebrush.inference.reconcilers.routes import Routes
from sagebrush.inference.tables import Replica
from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute.removal import remove_tree

_log = logging.getLogger(__name__)

BEFORE_TERMINATE = faultpoints.declare("inference.before-terminate")
AFTER_TERMINATE = faultpoints.declare("inference.after-terminate")
BEFORE_REMOVAL = faultpoints.declare("inference.before-removal")
AFTER_REMOVAL = faultpoints.declare("inference.after-removal-before-record")

#: Seconds that a request in flight is waited for beyond its time-out.
_SLACK_SECONDS = 5.0
#: A model may give itself any time: an update or a deletion waits for no longer than this on its account.
_LONGEST_SECONDS = 3600.0
#: Between SIGTERM and SIGKILL of a replica that never had a request.
_NEVER_SERVED_SECONDS = 5.0
_SOON, _WHILE_RUNNING = 0.05, 0.25


class Drainer:
    """Ends replicas gently."""

    def __init__(self, routes: Routes, keeper: Keeper):
        self._routes = routes
        self._keeper = keeper

    def drain(self, deployment: Deployment) -> float | None:
        """Bring every replica that is to go one step further; seconds until the next look, None where there is none."""
        draining = deployment.draining
        if not draining:
            return None
        running = [replica for replica in draining if deployment.observe(replica).phase in RUNNING]
        for replica in draining:
            if replica not in running:
                self._remove(deployment, replica)
        if len(running) < len(draining):
            return 0.0
        # Those that never served have nothing in flight.
        served = any(replica.ready_us is not None for replica in running)
        routed = self._routes.heard(deployment.platform) if served else None
        ended = [self._end(deployment, replica, routed) for replica in running]
        return _WHILE_RUNNING if all(ended) else _SOON

    def _end(self, deployment: Deployment, replica: Replica, routed: Routed | None) -> bool:
        """Ask a replica to end when nothing is in flight; False while something is. Asking again changes nothing."""
        if replica.ready_us is not None:
            waited = deployment.platform.clock.now_us() - (replica.drained_us or 0)
            quiet = routed is not None and not routed.outstanding.get(replica.id)
            settings = deployment.platform.settings
            longest = max(settings.invocation_timeout_seconds, settings.invocation_stream_seconds)
            if not quiet and waited < patience_us(replica, longest):
                return False
        grace = GRACE_SECONDS if replica.ready_us is not None else _NEVER_SERVED_SECONDS
        faultpoints.reach(BEFORE_TERMINATE)
        deployment.platform.compute.launcher.terminate(deployment.directory(replica), grace)
        faultpoints.reach(AFTER_TERMINATE)
        return True

    def _remove(self, deployment: Deployment, replica: Replica) -> None:
        """Nothing of it runs any more: its last lines, its directory, its record."""
        if logs.finish(deployment, replica):
            return  # It left more than one look takes.
        directory = deployment.directory(replica)
        deployment.platform.compute.launcher.unwatch(directory)
        faultpoints.reach(BEFORE_REMOVAL)
        try:
            remove_tree(directory)
        except OSError as error:
            _log.warning("the directory of the ended replica %s could not be removed: %s", directory, error)
        faultpoints.reach(AFTER_REMOVAL)
        deployment.write(lambda tx: tables.remove_replica(tx, replica.id))
        self._keeper.forget(replica.id)


def patience_us(replica: Replica, setting_seconds: float) -> int:
    """How long what is in flight with a replica is waited for: as long as it may take, and a little more.

    The front door answers for a model after the setting's time; the model's own may be longer, and its work go on.
    """
    own = min(replica.timeout_seconds, _LONGEST_SECONDS)
    return int((max(setting_seconds, own) + _SLACK_SECONDS) * 1_000_000)
