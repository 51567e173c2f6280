"""The control plane's process: AWS operations and the reconcilers behind them."""

from __future__ import annotations

import logging
import threading
from typing import Final

from sagebrush.planes.control.app import ControlApp
from sagebrush.planes.control.internal import InternalPages
from sagebrush.planes.control.requests import RequestHandler
from sagebrush.server import tls
from sagebrush.server.ballast import Ballast
from sagebrush.server.capabilities import CAPABILITIES, SERVED_SERVICES
from sagebrush.server.composition import open_platform
from sagebrush.server.data_directory import CONTROL_SOCKET, DataDirectory
from sagebrush.server.grants import grant
from sagebrush.server.housekeeping import Housekeeping
from sagebrush.server.job_credentials import job_credentials
from sagebrush.server.process import begin, run
from sagebrush.server.serving import serve, wait_for_predecessor
from sagebrush.substrate.clock import SystemClock, to_datetime
from sagebrush.substrate.compute import EnvironmentBuildFailed
from sagebrush.substrate.identity import ensure_seed
from sagebrush.substrate.identity.certificates import aws_regions, ensure_certificates
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import ReconcileLoop
from sagebrush.substrate.wire.engine import Engine

log = logging.getLogger(__name__)

#: Services of the areas that are not served yet: known by name, so that a call says what is missing.
_NAMED_SERVICES: Final = (
    "sagemaker-runtime",
    "sagemaker-featurestore-runtime",
    "sagemaker-metrics",
    "sagemaker-a2i-runtime",
)


def build_app(platform: Platform, loop: ReconcileLoop) -> ControlApp:
    """The control plane's application on a platform whose reconcilers ``loop`` runs."""
    engine = Engine({*SERVED_SERVICES, *_NAMED_SERVICES})
    pages = InternalPages(
        healthy=lambda: loop.running,
        job_credentials=lambda authorization: job_credentials(platform, authorization),
        grant=lambda question: grant(platform, question),
    )
    return ControlApp(RequestHandler(platform, engine), pages, threads=platform.settings.request_threads)


def _prebuild(platform: Platform) -> None:
    """Build the locked environments before the first job asks; a failure here is only the first job's news early."""
    try:
        platform.compute.environments.prebuild(lambda progress: log.info("environments: %s", progress))
    except EnvironmentBuildFailed as error:
        log.warning("environments are not built yet; the first job will try again: %s", error)


def main() -> None:
    """``python -m sagebrush.server.control``, started by the supervisor in the data directory."""
    settings = begin().settings
    clock = SystemClock()
    wait_for_predecessor("control", clock)
    directory = DataDirectory(settings.data_dir)
    ensure_certificates(directory.keys, aws_regions(), to_datetime(clock.now_us()))
    tls.ensure(settings, to_datetime(clock.now_us()))
    ballast = Ballast(directory.run / "ballast")
    ballast.start()
    with open_platform(settings, clock) as platform:
        ensure_seed(platform.store, settings, clock)
        reconcilers = [reconciler for capability in CAPABILITIES for reconciler in capability.reconcilers]
        loop = ReconcileLoop(platform, reconcilers, settings.reconcile_threads)
        loop.start()
        housekeeping = Housekeeping(platform)
        housekeeping.start()
        app = build_app(platform, loop)
        if settings.prebuild_environments:
            threading.Thread(target=_prebuild, args=(platform,), name="prebuild", daemon=True).start()
        serve(app, CONTROL_SOCKET, lifespan="off")
        app.close()
        loop.stop()
        housekeeping.stop()
    ballast.stop()


if __name__ == "__main__":
    run(main)
