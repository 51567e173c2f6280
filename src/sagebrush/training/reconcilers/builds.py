"""Environments made ready in the background, so that no step waits for a build that takes minutes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sagebrush.substrate.compute import Environment, EnvironmentBuildFailed, Environments, EnvironmentSpec
from sagebrush.substrate.errors import CallerError

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Build:
    """One environment on its way: ``environment`` or ``failure`` once ``done``; ``message`` tells what goes on."""

    message: str = ""
    environment: Environment | None = None
    failure: str = ""
    done: threading.Event = field(default_factory=threading.Event)
    waiting: dict[str, Callable[[], None]] = field(default_factory=dict)


class EnvironmentBuilds:
    """One build per environment at a time, shared by all jobs that want it. Threads die with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._builds: dict[EnvironmentSpec, Build] = {}

    def ready(
        self, environments: Environments, spec: EnvironmentSpec, *, patience: float, who: str, wake: Callable[[], None]
    ) -> Build:
        """The state of this environment, after waiting ``patience`` seconds at most for it to be done.

        ``wake`` is called when it is done later, once for each ``who``. A failed build is begun anew by the next call
        that comes after its failure was told.
        """
        with self._lock:
            build = self._builds.get(spec)
            if build is None or (build.environment is not None and not build.environment.python.exists()):
                build = self._builds[spec] = Build()
                threading.Thread(
                    target=self._run, args=(environments, spec, build), name=f"environment-{spec.name}", daemon=True
                ).start()
            elif build.failure:
                del self._builds[spec]
        if not build.done.wait(patience):
            with self._lock:
                build.waiting[who] = wake
            if build.done.is_set():
                wake()
        return build

    def _run(self, environments: Environments, spec: EnvironmentSpec, build: Build) -> None:
        def progress(message: str) -> None:
            build.message = message

        try:
            build.environment = environments.ensure(spec, progress)
        except EnvironmentBuildFailed as error:
            build.failure = str(error)
        except CallerError as error:
            build.failure = error.message
        except Exception as error:
            # Whatever it was, the jobs that wait must end with it instead of waiting for ever.
            _log.exception("the environment %s could not be made ready", spec.name)
            build.failure = f"{type(error).__name__}: {error}"
        finally:
            build.done.set()
            with self._lock:
                waiting, build.waiting = build.waiting, {}
            for wake in waiting.values():
                wake()
