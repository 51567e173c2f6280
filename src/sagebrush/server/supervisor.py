"""The supervisor: takes the data directory, binds the port, runs the three processes, and stays out of the way.

It imports nothing heavy, so that the process that lives longest costs least. Stopping it (SIGTERM, SIGINT) stops the
platform in order: the front door first, then the planes. Running jobs belong to their shims and go on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from sagebrush import __version__
from sagebrush.server import listening, log_files, platform_file, probing
from sagebrush.server.children import Child
from sagebrush.server.data_directory import CONTROL_SOCKET, OBJECTS_SOCKET, DataDirectory
from sagebrush.server.flags import parse_flags
from sagebrush.server.platform_file import PlatformFile
from sagebrush.substrate import settings as settings_module
from sagebrush.substrate.clock import Clock, SystemClock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.processes import ProcessIdentity
from sagebrush.substrate.settings import Settings

_SECOND: Final = 1_000_000
_START_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02
_FRONT_STOP_SECONDS: Final = 8
_PLANES_STOP_SECONDS: Final = 15
_TAKEOVER_SECONDS: Final = 15
_HOUSEKEEPING_SECONDS: Final = 30.0


class StartFailed(Exception):
    """The platform did not come up; the text is one clear line."""


class Supervisor:
    """One platform on one data directory, from :meth:`start` to the end of :meth:`run`."""

    def __init__(self, settings: Settings, flags: dict[str, Any], environ: Mapping[str, str], clock: Clock):
        self._settings = settings
        self._flags = flags
        self._environ = environ
        self._clock = clock
        self._directory = DataDirectory(settings.data_dir)
        self._children: list[Child] = []
        self._state: PlatformFile
        self._stop_requested = False
        self._door: socket.socket | None = None
        self._wakeup, self._wakeup_writer = socket.socketpair()

    # Starting

    def start(self, notify: Callable[[str], None]) -> None:
        """Bring the platform up; ``notify`` gets its URL when everything answers.

        Raises CallerError (directory, lock, port) or :class:`StartFailed`. Afterwards :meth:`run` must follow.
        """
        self._directory.prepare()
        lock = self._take_directory()
        try:
            self._outlive_predecessor()
            door = listening.bind(self._settings.host, self._settings.port)
            self._catch_signals()
            self._begin(door)
            self._wait_until_ready()
        except BaseException:
            self._stop_children()
            self._directory.platform_file.unlink(missing_ok=True)
            os.close(lock)
            raise
        notify(self._state.endpoint_url)

    def _take_directory(self) -> int:
        lock = self._directory.lock()
        if lock is not None:
            return lock
        holder = platform_file.read(self._directory.platform_file)
        who = f" (pid {holder.supervisor.pid}, {holder.endpoint_url})" if holder is not None else ""
        raise CallerError(
            "DataDirectoryInUse", f"Sagebrush is already running on the data directory {self._directory.root}{who}."
        )

    def _outlive_predecessor(self) -> None:
        """After a supervisor that was killed: its processes stop by themselves; wait, then insist."""
        before = platform_file.read(self._directory.platform_file)
        if before is None:
            return
        deadline = self._clock.monotonic_us() + _TAKEOVER_SECONDS * _SECOND
        left = [process for process in before.processes.values() if process.alive()]
        while left and self._clock.monotonic_us() < deadline:
            self._pause(_POLL_SECONDS)
            left = [process for process in left if process.alive()]
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        while any(process.alive() for process in left):
            self._pause(_POLL_SECONDS)

    def _begin(self, door: socket.socket) -> None:
        lifeline, self._lifeline_writer = os.pipe()
        port = int(door.getsockname()[1])
        self._door = door
        self._state = PlatformFile(
            supervisor=ProcessIdentity.of(os.getpid()),
            host=self._settings.host,
            port=port,
            version=__version__,
            ready=False,
            started_us=self._clock.now_us(),
        )
        arguments = ("--lifeline-fd", str(lifeline), *flag_arguments(self._flags | {"port": port}))
        listen = ("--listen-fd", str(door.fileno()))
        logs = self._directory.logs
        root = self._directory.root
        for name, module, extra, inherited in (
            ("control", "sagebrush.server.control", (), (lifeline,)),
            ("objects", "sagebrush.server.object_plane", (), (lifeline,)),
            ("front", "sagebrush.server.front", listen, (lifeline, door.fileno())),
        ):
            log = logs / f"{name}.log"
            child = Child(name, module, (*arguments, *extra), inherited, root, log, self._environ)
            self._children.append(child)
            child.start(self._clock)
        self._record()

    def _wait_until_ready(self) -> None:
        deadline = self._clock.monotonic_us() + _START_SECONDS * _SECOND
        os.chdir(self._directory.root)
        while not self._stop_requested:
            for child in self._children:
                if child.reap(self._clock):
                    raise StartFailed(
                        f"The {child.name} process ended while starting ({_ending(child.last_exit)}): "
                        f"{child.last_words() or 'it left no message'}. Its log: {child.log_file}"
                    )
            if self._all_answer():
                self._state = replace(self._state, ready=True)
                self._record()
                return
            if self._clock.monotonic_us() > deadline:
                raise StartFailed(
                    f"Sagebrush did not become ready within {_START_SECONDS} s. Its logs: {self._directory.logs}"
                )
            self._pause(_POLL_SECONDS)
        raise StartFailed("Stopped while starting.")

    def _all_answer(self) -> bool:
        # The planes first: the front door would hold a question for a plane that is not there yet.
        if not probing.health(CONTROL_SOCKET) or not probing.accepts(OBJECTS_SOCKET):
            return False
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._state.host, self._state.host)
        return probing.health((host, self._state.port))

    # Running

    def run(self) -> None:
        """Watch the processes until told to stop; then stop them in order."""
        housekeeping = self._clock.monotonic_us()
        while not self._stop_requested:
            self._restart_what_crashed()
            if self._clock.monotonic_us() >= housekeeping:
                for log in self._directory.logs.glob("*.log"):
                    log_files.rotate(log)
                housekeeping = self._clock.monotonic_us() + int(_HOUSEKEEPING_SECONDS * _SECOND)
            self._pause(self._seconds_until_next_start())
        self._stop_children()
        self._directory.platform_file.unlink(missing_ok=True)

    def _restart_what_crashed(self) -> None:
        changed = False
        for child in self._children:
            if child.reap(self._clock):
                print(
                    f"the {child.name} process ended ({_ending(child.last_exit)}); restarting",
                    file=sys.stderr,
                    flush=True,
                )
            if not child.running and child.start_at_us is not None and child.start_at_us <= self._clock.monotonic_us():
                child.start(self._clock)
                changed = True
        if changed:
            self._record()

    def _seconds_until_next_start(self) -> float:
        now = self._clock.monotonic_us()
        due = [child.start_at_us - now for child in self._children if child.start_at_us is not None]
        return max(0.0, min([_HOUSEKEEPING_SECONDS, *(us / _SECOND for us in due)]))

    def _record(self) -> None:
        self._state = replace(
            self._state,
            processes={child.name: child.identity for child in self._children if child.identity is not None},
            restarts={child.name: child.restarts for child in self._children},
        )
        self._state.write(self._directory.platform_file)

    # Stopping

    def _stop_children(self) -> None:
        """The front door first, so that what it has begun can end; then the planes together."""
        front = [child for child in self._children if child.name == "front"]
        planes = [child for child in self._children if child.name != "front"]
        if self._children and self._door is not None:
            self._door.close()
        for group, seconds in ((front, _FRONT_STOP_SECONDS), (planes, _PLANES_STOP_SECONDS)):
            for child in group:
                child.signal(signal.SIGTERM)
            deadline = self._clock.monotonic_us() + seconds * _SECOND
            for child in group:
                child.wait(deadline, self._clock)

    # Signals and waiting

    def _catch_signals(self) -> None:
        for end in (self._wakeup, self._wakeup_writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._request_stop)
        signal.signal(signal.SIGINT, self._request_stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _request_stop(self, *_: object) -> None:
        self._stop_requested = True

    def _pause(self, seconds: float) -> None:
        """Wait, but not past a signal."""
        ready, _, _ = select.select([self._wakeup], [], [], seconds)
        if ready:
            with contextlib.suppress(BlockingIOError):
                self._wakeup.recv(4096)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def flag_arguments(flags: dict[str, Any]) -> list[str]:
    """Settings given as flags, as command-line arguments for another process of ours."""
    return [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def serve(settings: Settings, flags: dict[str, Any], environ: Mapping[str, str], notify: Callable[[str], None]) -> None:
    """Run a platform in this process until it is told to stop. Raises as :meth:`Supervisor.start` does."""
    supervisor = Supervisor(settings, flags, environ, SystemClock())
    supervisor.start(notify)
    supervisor.run()


def main() -> int:
    """``python -m sagebrush.server.supervisor``: the detached supervisor. Tells its parent how the start went."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--report-fd", type=int, required=True)
    known, rest = parser.parse_known_args()
    report = os.fdopen(known.report_fd, "w")

    def tell(line: str) -> None:
        report.write(line + "\n")
        report.close()

    try:
        flags = parse_flags(rest)
        settings = settings_module.load(flags, os.environ).settings
        serve(settings, flags, os.environ, lambda url: tell(f"ready {url}"))
    except (CallerError, StartFailed) as error:
        tell(f"failed {error.message if isinstance(error, CallerError) else error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
