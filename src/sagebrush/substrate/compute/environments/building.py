"""Building one environment: a venv made aside, filled by pip from a lock, and renamed when it is whole."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sagebrush.substrate.compute.environments.sources import Source, sources
from sagebrush.substrate.errors import Fault

Progress = Callable[[str], None]
MANIFEST = "sagebrush-environment.json"
_TAIL_LINES = 25
_UNREACHABLE = re.compile(
    r"No matching distribution|Could not find a version|NewConnectionError|Name or service not known|"
    r"Temporary failure in name resolution|Network is unreachable|ConnectTimeout|Connection refused"
)


class EnvironmentBuildFailed(Fault):
    """pip could not fill the environment; the message names the cause and ends with pip's own words."""


class _NoSource(EnvironmentBuildFailed):
    """pip found no source for a package, or could not reach those it knows."""


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Hold a file lock; yields its descriptor, to be handed to child processes that must hold it too."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def build(name: str, lock_text: str, target: Path, *, lock: int, progress: Progress) -> None:
    """Make the environment ``target`` appear, whole. The caller holds the lock of this target.

    pip's own configuration (files and PIP_* variables) decides where packages come from, so that a wheelhouse works;
    where it has no source for a pin, the lock may name one (see :mod:`sources`).
    pip inherits the lock: when the platform dies meanwhile, nobody builds beside an orphaned pip. Raises
    EnvironmentBuildFailed.
    """
    for leftover in target.parent.glob(f".building-{target.name}*"):
        shutil.rmtree(leftover)
    aside = target.parent / f".building-{target.name}-{os.getpid()}"
    try:
        progress(f"Building the environment {name}: creating it")
        venv.EnvBuilder(symlinks=True).create(aside)
        requirements = aside / "requirements.txt"
        requirements.write_text(lock_text)
        python = aside / "bin" / "python3"
        run([str(python), "-I", "-m", "ensurepip", "--default-pip"], name, lock, progress)
        # Everything is pinned: no resolver is needed, and none can change its mind.
        command = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        command += ["--progress-bar", "off", "--no-deps"]
        for source in sources(lock_text):
            _install_from(source, command, name, lock, progress)
        run([*command, "-r", str(requirements)], name, lock, progress)
        run([str(python), "-I", "-m", "pip", "check", "--disable-pip-version-check"], name, lock, progress)
        settle(aside, target)
        manifest = {"name": name, "python": sys.version.split()[0], "requirements": lock_text.splitlines()}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=2))
        aside.rename(target)
    except OSError as error:
        raise EnvironmentBuildFailed(f"The environment {name} could not be built: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    progress(f"The environment {name} is ready")


def _install_from(source: Source, pip: list[str], name: str, lock: int, progress: Progress) -> None:
    """A pin that not every source of pip's has: from pip's own sources, else from the lock's."""
    try:
        run([*pip, source.pin], name, lock, progress)
    except _NoSource as own:
        progress(f"Building the environment {name}: {source.pin} from {source.index}")
        try:
            run(source.install(pip), name, lock, progress)
        except _NoSource:
            raise EnvironmentBuildFailed(f"{own}\nNor was {source.pin} to be had from {source.index}.") from None


def run(command: list[str], name: str, lock: int, progress: Progress) -> None:
    """Run pip, telling ``progress`` what it does; ``name`` is what is being built. Raises EnvironmentBuildFailed."""
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    unreachable = False
    # Jobs run under users of their own: what is built must be readable to all, whatever the operator's umask.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        umask=0o022,
        pass_fds=[lock],
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            tail.append(line.rstrip())
            unreachable = unreachable or bool(_UNREACHABLE.search(line))
            if line.startswith(("Collecting ", "Installing collected packages")):
                progress(f"Building the environment {name}: {line.split('(')[0].strip()[:200]}")
    if process.returncode == 0:
        return
    cause, kind = "pip failed", EnvironmentBuildFailed
    if unreachable:
        kind = _NoSource
        cause = (
            "pip found no source for a package. Without internet, point pip at a wheelhouse in its own configuration "
            "(PIP_NO_INDEX=1 and PIP_FIND_LINKS=<directory>, or pip.conf) and start the job again"
        )
    raise kind(f"The environment {name} could not be built: {cause}.\n" + "\n".join(tail))


def settle(aside: Path, target: Path) -> None:
    """Scripts name the interpreter by its path: let them name the place where it is going to be."""
    old, new = os.fsencode(aside), os.fsencode(target)
    for script in (aside / "bin").iterdir():
        if script.is_file() and not script.is_symlink():
            content = script.read_bytes()
            if old in content and b"\0" not in content:
                script.write_bytes(content.replace(old, new))
