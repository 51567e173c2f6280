"""The environments of this platform: resolve an image, make sure its environment exists."""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path

from sagebrush.substrate.compute.environments import building, images, inventory, overlays, snapshot
from sagebrush.substrate.compute.environments.building import Progress
from sagebrush.substrate.compute.environments.images import EnvironmentSpec
from sagebrush.substrate.compute.specification import Environment


class Environments:
    """Environments under one directory, which several platforms and processes may share.

    ``exact``: the version an image asks for must be there; otherwise the nearest (the one we have) serves.
    """

    def __init__(self, directory: Path, *, exact: bool = False):
        self.directory = directory
        self._exact = exact

    def resolve(self, image_uri: str) -> EnvironmentSpec | None:
        """What the image means here; None when it is none of ours. See :func:`images.resolve`."""
        return images.resolve(image_uri, exact=self._exact)

    def ensure(self, spec: EnvironmentSpec, progress: Progress) -> Environment:
        """The environment, built now when it is not there: minutes, with ``progress`` told what goes on.

        Waits for another thread or process that is building it. Raises EnvironmentBuildFailed with pip's own words.
        """
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        prefix = self.path(spec.name)
        if not self.is_built(spec.name):
            progress(f"Waiting for the environment {spec.name}")
            with building.exclusive(self.directory / f".{prefix.name}.lock") as lock:
                if not self.is_built(spec.name):
                    building.build(spec.name, images.lock_text(spec.name), prefix, lock=lock, progress=progress)
        shown = [prefix]
        if spec.packages:
            shown.insert(0, overlays.ensure(self.directory.absolute(), prefix, spec.packages, progress))
        with building.exclusive(self.directory / ".runtime.lock"):
            runtime = snapshot.ensure_snapshot(self.directory.absolute())
        return Environment(
            name=spec.name,
            python=prefix / "bin" / "python3",
            prefix=prefix,
            asked=spec.asked_version,
            got=spec.got_version,
            algorithm=spec.algorithm,
            notices=spec.notices,
            read_only_paths=(*shown, runtime, *_interpreter_paths(prefix)),
            python_path=(runtime,),
            overlays=tuple(shown[:-1]),
        )

    def prebuild(self, progress: Progress) -> None:
        """Build whatever is missing, so that the first job does not wait. Raises EnvironmentBuildFailed.

        Big ones only where an older version of them lies: somebody used it.
        """
        known = {entry.name for entry in inventory.entries(self.directory.absolute())}
        for name in images.ENVIRONMENT_NAMES:
            if name in known or name not in images.ON_DEMAND:
                self.ensure(EnvironmentSpec(name, "", ""), progress)

    def is_built(self, name: str) -> bool:
        """Whether the environment is there, whole."""
        return (self.path(name) / building.MANIFEST).exists()

    def path(self, name: str) -> Path:
        """Where the environment lies or will lie: named after its lock and the interpreter it stands on."""
        identity = f"{images.lock_text(name)}\0{sys.version}\0{sys.base_prefix}\0{platform.machine()}"
        return self.directory.absolute() / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"

    def runtime_path(self) -> Path:
        """Where the code that runs inside jobs lies or will lie, for this version of the platform."""
        return snapshot.snapshot_path(self.directory.absolute())


def _interpreter_paths(prefix: Path) -> tuple[Path, ...]:
    """Where the interpreter that the venv points to lies, by the names it is reached under."""
    python = prefix / "bin" / "python3"
    places = {Path(sys.base_prefix), Path(sys.base_prefix).resolve()}
    while python.is_symlink():
        python = python.parent / python.readlink()
        if not python.is_relative_to(prefix):
            places.add(python.parent.parent)
    return tuple(sorted(places))
