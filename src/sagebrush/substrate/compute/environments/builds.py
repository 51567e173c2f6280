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
    """One environment on its way: ``environment`` or ``failure`` once ``done``; ``message`` tells what goes on.

    ``wakes`` are called at its end, by who asked for it before.
    """

    message: str = ""
    environment: Environment | None = None
    failure: str = ""
    done: threading.Event = field(default_factory=threading.Event)
    wakes: dict[str, Callable[[], None]] = field(default_factory=dict)

    def serves(self, who: str) -> bool:
        """Whether its outcome is news for ``who``: a failure is for those who waited, the next one tries again."""
        if self.failure:
            return who in self.wakes
        return self.environment is None or self.environment.python.exists()


class EnvironmentBuilds:
    """One build per environment at a time, shared by all jobs that want it. Threads die with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._builds: dict[EnvironmentSpec, Build] = {}

    def ready(
        self,
        environments: Environments,
        spec: EnvironmentSpec,
        *,
        patience: float,
        who: str,
        wake: Callable[[], None],
    ) -> Build:
        """The state of this environment, after waiting ``patience`` seconds at most for it to be done.

        ``wake`` is called when it is done; ``who`` names the caller, who gets a failure if he asked before it.
        """
        with self._lock:
            build = self._builds.get(spec)
            begin = build is None or not build.serves(who)
            if build is None or begin:
                build = self._builds[spec] = Build()
            if not build.done.is_set():
                build.wakes[who] = wake
        if begin:
            arguments = (environments, spec, build)
            threading.Thread(target=self._run, args=arguments, name=f"environment-{spec.name}", daemon=True).start()
        build.done.wait(patience)
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
        with self._lock:
            build.done.set()
            wakes = list(build.wakes.values())
        for wake in wakes:
            wake()
