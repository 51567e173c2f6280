"""Try out what this machine can do for the platform, by doing it, and say how to mend what it cannot.

Exit code 0: nothing stands in the way; 1: something does.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sagebrush.cli import configure, own_files
from sagebrush.cli.finding import load_settings
from sagebrush.server import listening, platform_file, probing
from sagebrush.server.data_directory import DataDirectory
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import Settings

Grade = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing tried: ``ok``, ``note`` (works, with less) or ``problem`` (in the way)."""

    grade: Grade
    subject: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing beyond --data-dir."""


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load_settings(arguments, environ).settings
    problems = 0
    for finding in _examine(settings, environ):
        mark = {"ok": "ok", "note": "note", "problem": "PROBLEM"}[finding.grade]
        print(f"{mark:<8} {finding.subject:<16} {finding.text}", flush=True)
        problems += finding.grade == "problem"
    return 1 if problems else 0


def _examine(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    yield from _data_directory(settings)
    yield from _platform(settings)
    yield from _own_files(settings, configure.record_of(environ))
    yield from _host(settings)


def _data_directory(settings: Settings) -> Iterator[Finding]:
    root = settings.data_dir
    existing = next(path for path in (root, *root.parents) if path.exists())
    try:
        DataDirectory(root).check_version()
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".doctor-") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except (CallerError, OSError) as error:
        yield Finding(
            "problem", "data directory", error.message if isinstance(error, CallerError) else f"{root}: {error}"
        )
        return
    yield Finding("ok", "data directory", f"{root} {'is' if root.exists() else 'can be created and is'} writable")


def _platform(settings: Settings) -> Iterator[Finding]:
    running = platform_file.running(DataDirectory(settings.data_dir).platform_file)
    if running is None:
        yield _port(settings)
        return
    host = "127.0.0.1" if running.host in ("0.0.0.0", "::") else running.host
    if not probing.health((host, running.port)):
        logs = DataDirectory(settings.data_dir).logs
        yield Finding("problem", "platform", f"runs (pid {running.supervisor.pid}) but does not answer; see {logs}")
        return
    yield Finding("ok", "platform", f"answers at {running.endpoint_url}")
    yield _sts(settings, running)


def _own_files(settings: Settings, record: Path) -> Iterator[Finding]:
    """Whether the user's AWS files point here."""
    standing, by = own_files.standing(record), own_files.made_by(record)
    if standing and by != str(settings.data_dir.absolute()):
        yield Finding("note", "your files", f"point to the platform in {by}: {', '.join(standing)}")
    elif not standing:
        text = "no AWS files point here: use `sagebrush exec` and `env`, or `sagebrush configure` for good"
        yield Finding("ok", "your files", text)
    elif all(standing.values()):
        yield Finding("ok", "your files", f"point here: {', '.join(standing)}")
    else:
        changed = ", ".join(path for path, same in standing.items() if not same)
        text = f"changed since `sagebrush configure` wrote them: {changed}; run it again if clients do not come here"
        yield Finding("note", "your files", text)


def _port(settings: Settings) -> Finding:
    try:
        listening.bind(settings.host, settings.port).close()
    except CallerError as error:
        return Finding("problem", "port", error.message)
    return Finding("ok", "port", f"{settings.port} on {settings.host} is free")


def _sts(settings: Settings, running: platform_file.PlatformFile) -> Finding:
    """The way both SDKs take: STS under its public name, through the CONNECT proxy."""
    from sagebrush.cli.sts_probe import identity_through_proxy

    try:
        return Finding("ok", "STS by proxy", f"answers as {identity_through_proxy(settings, running)}")
    except Exception as error:  # Whatever goes wrong here is the finding.
        return Finding("problem", "STS by proxy", f"{type(error).__name__}: {error}")


def _host(settings: Settings) -> Iterator[Finding]:
    """What running jobs depends on."""
    from sagebrush.substrate.compute import Compute

    compute = Compute(settings)
    try:
        for check in compute.probe():
            grade: Grade = "ok" if check.ok else ("problem" if check.needed else "note")
            yield Finding(grade, check.check, check.detail)
    finally:
        compute.close()
