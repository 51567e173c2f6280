"""Throw-away environments of peers, under build/benchmarks, from pinned lists in benchmarks/requirements."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_HOME = _ROOT / "build" / "benchmarks"


class NotInstalled(Exception):
    """The peer could not be installed; the text says why."""


def environment(name: str) -> Path:
    """The ``bin`` of an environment with what ``requirements/<name>.txt`` lists. Raises NotInstalled."""
    requirements = _ROOT / "benchmarks" / "requirements" / f"{name}.txt"
    identity = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    place = _HOME / name
    stamp = place / ".installed"
    if stamp.exists() and stamp.read_text() == identity:
        return place / "bin"
    print(f"Installing {name} into {place}", flush=True)
    venv.EnvBuilder(with_pip=True, clear=True).create(place)
    command = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    result = subprocess.run(
        [*command, "-r", str(requirements)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode != 0:
        raise NotInstalled(f"pip: {(result.stdout.strip().splitlines() or ['no word'])[-1]}")
    stamp.write_text(identity)
    return place / "bin"
