"""The Launcher: starts shims and finds them again. Stateless but for threads that watch; the truth is on disk.

The directory is the identity of an attempt. The launcher takes the directory's lock and hands the open lock down to
the shim it starts, so from the first instant to the shim's end exactly one process can have the directory, whatever
dies in between; a directory with a record is never run again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import observing
from sagebrush.substrate.compute.environments import layers
from sagebrush.substrate.compute.isolation import Isolation
from sagebrush.substrate.compute.limits import ControlGroups
from sagebrush.substrate.compute.shim import launchfile, python3, record
from sagebrush.substrate.compute.shim import main as shim_main
from sagebrush.substrate.compute.specification import LaunchSpec, Observation
from sagebrush.substrate.compute.watching import Watcher
from sagebrush.substrate.compute.zygotes import RUNTIME, SCRIPT, Zygote, ZygoteGone, Zygotes, way_of
from sagebrush.substrate.errors import CallerError, Fault

_log = logging.getLogger(__name__)
BEFORE_LAUNCH_FILE = faultpoints.declare("compute.before-launch-file")
BEFORE_SHIM = faultpoints.declare("compute.before-shim")
AFTER_SHIM = faultpoints.declare("compute.after-shim")

SHIM = Path(shim_main.__file__).with_name("__main__.py")
_PYTHON3 = Path(python3.__file__)
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Somebody who only looks holds the lock for microseconds; a shim holds it for its life.
_LOCK_TRIES, _LOCK_PAUSE_S = 40, 0.001


class Launcher:
    """Runs attempts on this host. Safe to use from many threads, and from several processes at once."""

    def __init__(self, isolation: Isolation, groups: ControlGroups, zygotes: Zygotes | None = None):
        self._isolation = isolation
        self._groups = groups
        self._zygotes = zygotes or Zygotes(0)
        self._watcher = Watcher()

    def launch(self, spec: LaunchSpec) -> None:
        """Start a shim for the directory, unless one has it or had it. Returns when the shim's process exists.

        A request to terminate that came before stands: the job then ends without having run. Raises ValueError for
        NUL bytes in the command and for names of sockets that are none, Fault when the host cannot start processes,
        CallerError ``NetworkIsolationUnavailable`` where a launch insists on a network of its own and can have none.
        """
        spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(spec.directory / observing.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        retry = False
        try:
            if not self._take(lock, spec.directory) or (spec.directory / record.NAME).exists():
                return
            below = (*spec.environment.overlays, spec.environment.prefix)
            layers.make(spec.opt_ml / layers.OWN, spec.environment.python, below)
            shown = self._shown_opt_ml(spec)
            zygote, why_cold = self._zygotes.find(spec, shown)
            launch = self._launch_file(spec)
            launch.add("warm", int(zygote is not None))
            way = way_of(spec, shown)
            if zygote is not None and way != RUNTIME:
                layer = spec.opt_ml / layers.OWN
                if way == SCRIPT:
                    launch.add("warm_script", layers.python_of(shown))
                elif layers.hand_over(layer, spec.environment.python, _PYTHON3):
                    launch.add("warm_shell", f"{shown}/{layers.OWN}")
            launch.add("start", "" if zygote is not None else why_cold)
            faultpoints.reach(BEFORE_LAUNCH_FILE)
            write_privately(spec.directory / launchfile.NAME, launch.encode())
            faultpoints.reach(BEFORE_SHIM)
            if zygote is None:
                shim = self._spawn(spec.directory, lock)
            elif not (shim := self._fork(zygote, spec.directory, lock)):
                retry = True
            faultpoints.reach(AFTER_SHIM)
            if shim:
                self._watcher.reap(shim, spec.directory)
        finally:
            os.close(lock)
        if retry:
            # Nobody holds the lock now but a shim that was forked all the same; then this finds it and returns.
            self.launch(spec)

    def observe(self, directory: Path) -> Observation:
        """What is known now of the attempt; cheap enough to ask often."""
        return observing.observe(directory)

    def terminate(self, directory: Path, grace_seconds: float | None = None) -> None:
        """SIGTERM to the job's process group, SIGKILL after the grace (default: the launch's). Done by the shim."""
        verb = "terminate" if grace_seconds is None else f"terminate {int(grace_seconds * 1000)}"
        if not (directory / shim_main.REQUEST).exists():
            self._request(directory, verb, signal.SIGTERM)

    def kill(self, directory: Path) -> None:
        """SIGKILL to every process of the job, by the shim, which records the end."""
        self._request(directory, "kill", signal.SIGUSR1)

    def watch(self, directory: Path, callback: Callable[[], None]) -> None:
        """Call ``callback`` soon, and again whenever the attempt's phase has changed, until it ended.

        It is called on the watcher's thread: notify somebody and return. A second watch of a directory replaces
        the first.
        """
        self._watcher.watch(directory, callback)

    def unwatch(self, directory: Path) -> None:
        """Forget the watch; nothing happens when there is none."""
        self._watcher.unwatch(directory)

    def close(self) -> None:
        """Stop watching. Jobs and shims go on."""
        self._watcher.close()
        self._zygotes.close()

    def _take(self, lock: int, directory: Path) -> bool:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if (directory / record.NAME).exists():
                    return False
                time.sleep(_LOCK_PAUSE_S)
            else:
                return True
        return False

    def _fork(self, zygote: Zygote, directory: Path, lock: int) -> int:
        """Have the zygote fork the shim; 0 when it has ended over it."""
        log = os.open(directory / "shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return self._zygotes.fork(zygote, directory, lock, log)
        except ZygoteGone as error:
            _log.warning("a zygote was lost: %s", error)
            return 0
        finally:
            os.close(log)

    def _shown_opt_ml(self, spec: LaunchSpec) -> str:
        return "/opt/ml" if self._isolation.mode() == "sandbox" else str(spec.opt_ml.absolute())

    def _spawn(self, directory: Path, lock: int) -> int:
        command = [sys.executable, "-I", "-S", "-X", "utf8", str(SHIM), str(directory), str(lock)]
        log = str(directory / "shim.log")
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            # Onto itself: the one descriptor that the shim inherits.
            (os.POSIX_SPAWN_DUP2, lock, lock),
        ]
        try:
            return os.posix_spawn(
                sys.executable,
                command,
                {},
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE],
            )
        except OSError as error:
            raise Fault(f"cannot start a shim: {error}") from error

    def _launch_file(self, spec: LaunchSpec) -> launchfile.LaunchFile:
        launch = launchfile.LaunchFile()
        mode = self._isolation.mode()
        sandboxed = mode == "sandbox"
        if spec.isolated and (problem := self._isolation.isolated_network_problem()):
            raise CallerError("NetworkIsolationUnavailable", problem)
        launch.add("isolation", mode)
        launch.add("host_name", spec.host_name)
        launch.add("arg", *spec.argv)
        launch.add("env", *(f"{name}={value}" for name, value in job_variables(spec, sandboxed=sandboxed).items()))
        launch.add("opt_ml", str(spec.opt_ml.absolute()))
        launch.add("cwd", spec.cwd or ("/opt/ml" if sandboxed else str(spec.opt_ml.absolute())))
        launch.add("host", *(f"{name}={address}" for name, address in spec.hosts.items()))
        launch.add("grace_ms", int(spec.term_grace_seconds * 1000))
        launch.add("fault", *spec.faults)
        launch.add("listen", *map(_socket_name, spec.listen))
        if sandboxed:
            user = self._isolation.user(spec.directory)
            launch.add("uid", user)
            launch.add("gid", user)
            launch.add("user_namespace", int(self._isolation.user_namespace))
            alone = spec.network_file is None
            wanted = spec.isolated or (spec.private_network and self._isolation.private_network())
            launch.add("private_network", int(alone and wanted))
            launch.add("isolated", int(spec.isolated))
            if spec.network_file is not None:
                launch.add("network_file", str(spec.network_file.absolute()))
            launch.add("mask", *map(str, spec.masked))
            launch.add("expose", *map(str, spec.environment.read_only_paths))
            for bind in spec.binds:
                launch.add("bind_source", str(bind.source.absolute()))
                launch.add("bind_target", bind.target)
                launch.add("bind_mode", "ro" if bind.read_only else "rw")
        own_user = sandboxed and bool(launch.number("uid") or launch.number("user_namespace"))
        self._groups.describe(launch, spec.limits, spec.directory, own_user=own_user)
        return launch

    def _request(self, directory: Path, verb: str, number: signal.Signals) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The file first, then the signal: a shim that is only starting looks for the file before it starts the job.
        write_privately(directory / shim_main.REQUEST, verb.encode())
        state = observing.read_state(directory)
        if state is None or state["phase"] == "exited":
            return
        process = observing.open_process(state, "shim")
        if process is None:
            return
        try:
            signal.pidfd_send_signal(process, number)
        except ProcessLookupError:
            return
        finally:
            os.close(process)


def job_variables(spec: LaunchSpec, *, sandboxed: bool) -> Mapping[str, str]:
    """The job's whole environment: defaults as official images have them, then the caller's own."""
    home = "/tmp" if sandboxed else str(spec.directory.absolute() / "tmp")
    layer = Path("/opt/ml" if sandboxed else spec.opt_ml.absolute()) / layers.OWN
    variables = {
        "PATH": f"{layer}/bin:{spec.environment.prefix}/bin:{_SYSTEM_PATH}",
        "VIRTUAL_ENV": str(layer),
        "HOME": home,
        "TMPDIR": home,
        # Containers of SageMaker run as root, and clients ask for the name: @remote's bootstrap calls sudo for others.
        "USER": "root",
        "LOGNAME": "root",
        "HOSTNAME": spec.host_name,
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    } | dict(spec.env)
    # The layers' own: programs in the environment's bin run its interpreter, which knows of no layer.
    above = [layers.site_packages(prefix) for prefix in (layer, *spec.environment.overlays)]
    paths = [*map(str, spec.environment.python_path), variables.get("PYTHONPATH", ""), *map(str, above)]
    variables["PYTHONPATH"] = ":".join(filter(None, paths))
    return variables


def _socket_name(name: str) -> str:
    # The kernel takes 107 bytes; the dot keeps clear of names that have a meaning.
    if not 0 < len(os.fsencode(name)) < 100 or "/" in name or name.startswith("."):
        raise ValueError(f"{name!r} cannot be the name of a socket")
    return name


def write_privately(path: Path, data: bytes) -> None:
    """Replace a file that only this user may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.rename(path)
