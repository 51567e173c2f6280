"""The environment that algorithm jobs run in, built once under ``build/`` with exactly what the product's has.

scikit-learn, which jobs do not have, lies beside it: reference programs get it by PYTHONPATH.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagebrush.substrate.compute import Environments, EnvironmentSpec

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "build" / "environments-dev"
PACKAGES = ("xgboost-cpu==3.2.0", "numpy==2.4.6", "scipy==1.17.1", "pyarrow==26.0.1")
#: Installed without their dependencies: those are among PACKAGES or here.
REFERENCE_PACKAGES = (
    "scikit-learn==1.9.1",
    "joblib==1.6.0",
    "threadpoolctl==3.8.0",
    "narwhals==2.29.0",
    "cloudpickle==3.1.2",
)


@dataclass(frozen=True)
class AlgorithmEnvironment:
    """An interpreter with the algorithms' libraries; ``reference`` is the folder that holds scikit-learn."""

    python: Path
    reference: Path

    def environ(self, *, reference: bool = False) -> dict[str, str]:
        paths = [ROOT / "src", *([self.reference] if reference else [])]
        return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths))}

    def compute(self, program: str, *arguments: object) -> Any:
        """Run a reference program; it prints one JSON value, which is the answer."""
        command = [str(self.python), "-W", "ignore", "-c", program, *map(str, arguments)]
        environ = self.environ(reference=True)
        result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])


def ensure() -> AlgorithmEnvironment:
    """The environment, built when it is not there yet; fails when it cannot be built."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(" ".join(PACKAGES + REFERENCE_PACKAGES).encode()).hexdigest()[:12]
    target, reference = DIRECTORY / f"xgboost-{recipe}", DIRECTORY / f"reference-{recipe}"
    with (DIRECTORY / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            venv.create(target, with_pip=True, clear=True)
            _pip(target, "install", "--quiet", *PACKAGES)
            _pip(target, "install", "--quiet", "--no-deps", "--target", str(reference), *REFERENCE_PACKAGES)
            (target / "complete").touch()
    return AlgorithmEnvironment(target / "bin" / "python", reference)


def pytorch() -> AlgorithmEnvironment:
    """The product's own environment of PyTorch, which has all that reference programs need."""
    built = Environments(ROOT / "build" / "environments").ensure(EnvironmentSpec("pytorch", "", ""), lambda _: None)
    return AlgorithmEnvironment(built.python, built.prefix)


def _pip(target: Path, *arguments: str) -> None:
    command = [str(target / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


if __name__ == "__main__":
    sys.stdout.write(f"{ensure().python}\n")
