"""The protocol cases of botocore's source distribution, fetched once and kept under build/."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore
import pytest

ROOT = Path(__file__).parents[3]
PLACE = ROOT / "build" / "protocol-cases" / botocore.__version__


@pytest.fixture(scope="session")
def protocol_cases() -> Callable[[str, str], list[Any]]:
    """``(direction, file) -> suites``, for example ``("input", "rest-json")``. Skips, saying why, when out of reach."""
    if not PLACE.is_dir():
        _fetch()

    def load(direction: str, name: str) -> list[Any]:
        suites: list[Any] = json.loads((PLACE / direction / f"{name}.json").read_text())
        return suites

    return load


def _fetch() -> None:
    # Workers of pytest-xdist may come here at once: each unpacks aside, the first rename wins.
    aside = PLACE.with_name(f"{PLACE.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    name = f"botocore=={botocore.__version__}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", name]
    result = subprocess.run([*command, "-d", str(aside)], capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"botocore's protocol cases are out of reach: {result.stderr.strip().splitlines()[-1:]}")
    (archive,) = aside.glob("botocore-*.tar.gz")
    inside = f"{archive.name.removesuffix('.tar.gz')}/tests/unit/protocols/"
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            parts = member.name.removeprefix(inside).split("/")
            if member.name.startswith(inside) and parts[0] in ("input", "output") and member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                target = aside / "cases" / parts[0] / parts[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    archive.unlink()
    try:
        (aside / "cases").rename(PLACE)
    except OSError:
        assert PLACE.is_dir()
