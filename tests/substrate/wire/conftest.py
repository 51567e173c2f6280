"""The protocol cases of botocore's source distribution, fetched once and kept under build/."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore
import pytest

ROOT = Path(__file__).parents[3]
#: Of the source distribution of the very botocore that the platform pins; another version needs another digest here.
VERSION, SHA256 = "1.44.5", "a988f39e3a4484def0b8010f41128f71157da0515a4804fccce4739aa8f216da"
PLACE = ROOT / "build" / "protocol-cases" / VERSION


@pytest.fixture(scope="session")
def protocol_cases() -> Callable[[str, str], list[Any]]:
    """``(direction, file) -> suites``, for example ``("input", "rest-json")``. Out of reach it skips,
    saying why, and fails in CI."""
    assert botocore.__version__ == VERSION, "botocore was upgraded: give its source distribution's digest here, too"
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
    wanted = aside / "requirements.txt"
    wanted.write_text(f"botocore=={VERSION} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    command += ["--require-hashes", "--requirement", str(wanted), "--dest", str(aside)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        told = f"botocore's protocol cases are out of reach: {result.stderr.strip().splitlines()[-1:]}"
        # A developer may work without a network; CI may not leave anything out.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
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
    try:
        (aside / "cases").rename(PLACE)
    except OSError:
        assert PLACE.is_dir()
    shutil.rmtree(aside)
