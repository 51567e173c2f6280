"""A copy of the code that runs inside jobs, so that jobs see this much of the platform and no more.

Named after its content, never changed: a job that started under an older platform keeps its own.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import shutil
from pathlib import Path

import sagebrush

_PACKAGE = Path(sagebrush.__file__).parent
_PARTS = ("runtime", "algorithms")


def ensure_snapshot(root: Path, package: Path = _PACKAGE) -> Path:
    """The directory to put on the job's PYTHONPATH; made when missing. Call under the lock of ``root``."""
    files = sorted(_files(package))
    target = root / _name(files, package)
    if target.is_dir():
        return target
    aside = root / f".building-{target.name}-{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    for name in files:
        copy = aside / "sagebrush" / name
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        shutil.copyfile(package / name, copy)
    # Compiled now, as jobs may only read it.
    compileall.compile_dir(aside, quiet=2, stripdir=str(aside), prependdir=str(target))
    for path in (aside, *aside.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    aside.rename(target)
    return target


def snapshot_path(root: Path, package: Path = _PACKAGE) -> Path:
    """Where the copy of today's code lies or will lie."""
    return root / _name(sorted(_files(package)), package)


def _name(files: list[str], package: Path) -> str:
    digest = hashlib.sha256()
    for name in files:
        content = (package / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"runtime-{digest.hexdigest()[:12]}"


def _files(package: Path) -> list[str]:
    found = ["__init__.py"]
    for part in _PARTS:
        for path in (package / part).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.append(str(path.relative_to(package)))
    return found
