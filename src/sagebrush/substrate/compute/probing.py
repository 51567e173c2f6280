"""What this host allows, found out by doing it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from sagebrush.substrate.compute.isolation import Isolation
from sagebrush.substrate.compute.launcher import Launcher
from sagebrush.substrate.compute.limits import ControlGroups
from sagebrush.substrate.compute.shim import kernel, seccomp
from sagebrush.substrate.compute.specification import Environment, LaunchSpec
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import Settings

_NEEDED_DISK_GIB = 5
#: Succeeds only where the sandbox really is one: /opt/ml is the attempt's, hosts resolve, other processes are unseen.
_TRIAL = 'test -e /opt/ml/token && grep -q "127.9.9.9 algo-1" /etc/hosts && test ! -e "$1" && test ! -d /proc/99999'


#: Succeeds only where a network of its own can be made and its loopback carries a connection.
_NETWORK_TRIAL = """
import _socket, sys
sys.path.append(sys.argv[1])
from shim import kernel, network
kernel.unshare(int(sys.argv[2]))
network.raise_loopback()
listener, client = (_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM) for _ in "12")
listener.bind(("127.0.0.1", 8080))
listener.listen(1)
client.connect(("127.0.0.1", 8080))
"""


#: Succeeds only where a filtered process may not make a user namespace.
_FILTER_TRIAL = """
import sys
sys.path.append(sys.argv[1])
from shim import kernel, seccomp
kernel.no_new_privileges()
kernel.filter_system_calls(seccomp.program())
try: kernel.unshare(kernel.CLONE_NEWUSER)
except PermissionError: sys.exit(0)
sys.exit("a filtered process made a user namespace")
"""


class Check(NamedTuple):
    """One line of ``doctor``. ``ok`` False is a warning unless ``needed``."""

    check: str
    ok: bool
    detail: str
    needed: bool = False


def try_sandbox(launcher: Launcher, directory: Path, *, deadline: float) -> str:
    """Run a tiny job in a sandbox; '' when it saw what it should, else what went wrong."""
    opt_ml, secret = directory / "ml", directory / "hidden"
    opt_ml.mkdir()
    (opt_ml / "token").touch()
    secret.mkdir()
    (secret / "file").touch()
    attempt = directory / "attempt"
    spec = LaunchSpec(
        directory=attempt,
        argv=("/bin/sh", "-c", _TRIAL, "sh", str(secret / "file")),
        opt_ml=opt_ml,
        environment=Environment("probe", Path(sys.executable), Path(sys.prefix)),
        hosts={"algo-1": "127.9.9.9"},
        masked=(secret,),
    )
    ended = threading.Event()
    try:
        launcher.launch(spec)
        launcher.watch(attempt, lambda: _set_when_ended(launcher, attempt, ended))
        ended.wait(max(0.0, deadline - time.monotonic()))
        seen = launcher.observe(attempt)
        if seen.phase not in ("exited", "lost"):
            launcher.kill(attempt)
            return "a trial job did not end in time"
        if seen.succeeded:
            return ""
        printed = (
            (attempt / "output.log").read_text(errors="replace").strip() if (attempt / "output.log").exists() else ""
        )
        return seen.problem or printed or f"a trial job did not see a sandbox (exit code {seen.status_code})"
    except OSError as error:
        return str(error)
    finally:
        launcher.close()


def _set_when_ended(launcher: Launcher, directory: Path, ended: threading.Event) -> None:
    if launcher.observe(directory).phase in ("exited", "lost"):
        ended.set()


def try_network() -> str:
    """Make a network namespace and use its loopback; '' when that works, else what went wrong."""
    return _try_in_a_process(_NETWORK_TRIAL, kernel.CLONE_NEWNET)


def probe(settings: Settings, isolation: Isolation, groups: ControlGroups) -> list[Check]:
    """Everything that running jobs depends on."""
    checks = [
        Check("python", sys.version_info >= (3, 11), f"{sys.version.split()[0]} at {sys.executable}", needed=True),
        _disk(settings.data_dir),
        _unshared("user namespaces", kernel.CLONE_NEWUSER),
        _unshared("mount namespaces", kernel.CLONE_NEWNS),
        _unshared("pid namespaces", kernel.CLONE_NEWPID),
    ]
    parents = groups.parents()
    version = "version 2" if "unified" in parents else "version 1"
    named = "memory, cpu, pids" if "unified" in parents else ", ".join(sorted(parents))
    if parents:
        checks.append(Check("control groups", True, f"{version}: {named}"))
    else:
        checks.append(
            Check("control groups", False, "not writable: memory is limited by RLIMIT_AS, CPUs are not limited")
        )
    try:
        mode = isolation.mode()
    except CallerError as error:
        checks.append(Check("isolation", False, error.message, needed=True))
    else:
        why = isolation.problem or f"set by isolation = '{settings.isolation}'"
        detail = "jobs run in a sandbox" if mode == "sandbox" else f"jobs run as plain processes: {why}"
        checks.append(Check("isolation", mode == "sandbox", detail))
    checks.append(_networks(isolation))
    checks.append(_system_calls())
    return checks


def _disk(directory: Path) -> Check:
    existing = next(p for p in (directory, *directory.parents) if p.exists())
    free = shutil.disk_usage(existing).free / 2**30
    return Check("disk space", free >= _NEEDED_DISK_GIB, f"{free:.1f} GiB free at {existing}")


def _unshared(name: str, flag: int) -> Check:
    program = "import sys; sys.path.append(sys.argv[1]); from shim import kernel; kernel.unshare(int(sys.argv[2]))"
    refused = _try_in_a_process(program, flag)
    return Check(name, not refused, refused or "allowed")


def _networks(isolation: Isolation) -> Check:
    try:
        if isolation.private_network():
            told = "EnableNetworkIsolation is kept; every replica that brings its own server may have its port 8080"
            return Check("private networks", True, told)
    except CallerError as error:
        return Check("private networks", False, error.message)
    why = isolation.network_problem() or "jobs run as plain processes"
    told = f"EnableNetworkIsolation is refused, replicas share the ports of this host: {why}"
    return Check("private networks", False, told)


def _system_calls() -> Check:
    name = "system call filter"
    if not seccomp.program():
        return Check(name, False, f"not known for {os.uname().machine}: a job may make namespaces")
    refused = _try_in_a_process(_FILTER_TRIAL, 0)
    return Check(name, not refused, refused or "sandboxed jobs make no namespaces and reach no keyring")


def _try_in_a_process(program: str, flag: int) -> str:
    """Unsharing changes a process for good, so one of its own does it; '' or the last line of what went wrong."""
    flags = flag if os.geteuid() == 0 else flag | kernel.CLONE_NEWUSER
    command = [sys.executable, "-I", "-S", "-c", program, str(Path(kernel.__file__).parents[1]), str(flags)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
    return lines[-1] if result.returncode else ""
