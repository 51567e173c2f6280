"""Overlays: further packages over an environment, in a layer that jobs with the same requirements share.

Built by the platform itself, so only for packages that the platform asks for, such as the SDK of a client. What a
user's ``requirements.txt`` names is installed inside the job: installing may run anybody's code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from sagebrush.substrate.compute.environments import building, layers
from sagebrush.substrate.compute.environments.building import EnvironmentBuildFailed, Progress


def ensure(directory: Path, base: Path, packages: Sequence[str], progress: Progress) -> Path:
    """The overlay with ``packages`` (requirements of pip's) over the environment ``base``, built when it is not there.

    Waits for another thread or process that is building it. Raises EnvironmentBuildFailed with pip's own words. Its
    manifest's time is that of the last use: ``sagebrush environments prune`` takes what nobody asks for any more.
    """
    target = directory / f"{base.name}+{hashlib.sha256(chr(0).join(packages).encode()).hexdigest()[:12]}"
    if (target / building.MANIFEST).exists():
        with contextlib.suppress(OSError):  # Of another user's platform, say.
            os.utime(target / building.MANIFEST)
        return target
    with building.exclusive(directory / f".{target.name}.lock") as lock:
        if not (target / building.MANIFEST).exists():
            _build(base, packages, target, lock, progress)
    return target


def _build(base: Path, packages: Sequence[str], target: Path, lock: int, progress: Progress) -> None:
    environment = json.loads((base / building.MANIFEST).read_text())["name"]
    name = f"{environment} with {', '.join(packages)}"
    aside = target.parent / f".building-{target.name}-{os.getpid()}"
    try:
        progress(f"Building the environment {name}: creating it")
        # Left by a build that was cut off: this one holds the lock, so nobody else is at it.
        for leftover in target.parent.glob(f".building-{target.name}-*"):
            shutil.rmtree(leftover)
        layers.make(aside, base / "bin" / "python3", [base])
        command = [str(aside / "bin" / "python3"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        with ExitStack() as files:
            known = [f"--constraint={files.enter_context(resources.as_file(pins))}" for pins in _pins(packages)]
            building.run([*command, "--progress-bar", "off", *known, *packages], name, lock, progress)
        building.settle(aside, target)
        installed = sorted(path.name for path in layers.site_packages(aside).glob("*.dist-info"))
        manifest = {
            "name": name,
            "python": sys.version.split()[0],
            "requirements": [row.removesuffix(".dist-info").replace("-", "==", 1) for row in installed],
            "base": base.name,
        }
        (aside / building.MANIFEST).write_text(json.dumps(manifest, indent=2))
        aside.rename(target)
    except OSError as error:
        raise EnvironmentBuildFailed(f"The environment {name} could not be built: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    progress(f"The environment {name} is ready")


def _pins(packages: Sequence[str]) -> list[Traversable]:
    """Versions of everything that known packages need: without them, pip looks for minutes for what goes together."""
    folder = resources.files(__package__).joinpath("specs", "clients")
    files = [folder.joinpath(f"{package.replace('==', '-')}.txt") for package in packages]
    return [file for file in files if file.is_file()]
