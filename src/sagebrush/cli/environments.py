"""The Python environments that jobs and models run in: what there is, what is in it, build it, remove old ones.

sagebrush environments list            each environment, whether it is built, its versions and size
sagebrush environments build [NAME]    build what is missing now instead of at the first job (pytorch: name it)
sagebrush environments show NAME       its packages, and the images that it stands for
sagebrush environments prune           remove what older versions of Sagebrush built, unless something runs from it
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from sagebrush.cli.finding import load_settings
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.compute import Compute, Environments
from sagebrush.substrate.compute.environments import EnvironmentBuildFailed, EnvironmentSpec, images, inventory
from sagebrush.substrate.errors import CallerError

#: An overlay, the packages of some client's SDK say, goes when no job has asked for it for 30 days.
_KEPT_UNUSED_US = 30 * 86_400_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "build", "show", "prune"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(images.ENVIRONMENT_NAMES))
    parser.add_argument("--dry-run", action="store_true", help="prune: only say what would be removed")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    environments = Compute(load_settings(arguments, environ).settings).environments
    for name in arguments.names:
        if name not in images.ENVIRONMENT_NAMES:
            raise CallerError(
                "NoSuchEnvironment", f"There is no environment {name}; there are: {', '.join(images.ENVIRONMENT_NAMES)}"
            )
    names = arguments.names or _all(arguments.action)
    if arguments.action == "list":
        _list(environments)
    elif arguments.action == "show":
        for name in names:
            _show(environments, name)
    elif arguments.action == "build":
        return _build(environments, names)
    else:
        _prune(environments, dry=arguments.dry_run)
    return 0


def _all(action: str) -> list[str]:
    """What no name means: every environment, but the big ones are only built for those who name them."""
    names = images.ENVIRONMENT_NAMES
    return [name for name in names if name not in images.ON_DEMAND] if action == "build" else list(names)


def _list(environments: Environments) -> None:
    rows = [("NAME", "STATE", "SERVES", "SIZE", "PATH")]
    for name in images.ENVIRONMENT_NAMES:
        path = environments.path(name)
        built = environments.is_built(name)
        size = _size(inventory.Entry(name, path).size_bytes()) if built else "-"
        rows.append((name, "built" if built else "not built", ", ".join(images.versions(name)), size, str(path)))
    for entry in _overlays(environments):
        rows.append((entry.name, "built", "-", _size(entry.size_bytes()), str(entry.path)))
    for entry in _old(environments):
        state = "old" if entry.whole else "building" if inventory.users(entry.path) else "cut off"
        rows.append((entry.name, state, "-", _size(entry.size_bytes()), str(entry.path)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join([f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)] + [row[4]]).rstrip())


def _show(environments: Environments, name: str) -> None:
    path = environments.path(name)
    print(f"{name}: {', '.join(images.versions(name))}")
    print(f"  images     {', '.join(images.repositories(name))}")
    print(f"  directory  {path} ({'built' if environments.is_built(name) else 'not built yet'})")
    print("  packages")
    for pin in images.pins(name):
        print(f"    {pin}")


def _build(environments: Environments, names: list[str]) -> int:
    for name in names:
        if environments.is_built(name):
            print(f"The environment {name} is built: {environments.path(name)}")
            continue
        try:
            environments.ensure(EnvironmentSpec(name, "", ""), lambda line: print(line, flush=True))
        except EnvironmentBuildFailed as error:
            print(f"sagebrush: {error}", file=sys.stderr)
            return 1
    return 0


def _prune(environments: Environments, *, dry: bool) -> None:
    freed = 0
    for entry in _old(environments):
        running = inventory.users(entry.path)
        if running:
            print(f"kept     {entry.path}: in use by {len(running)} processes, {running[0]} among them")
            continue
        freed += (size := entry.size_bytes())
        print(f"{'would go' if dry else 'removed '} {entry.path} ({_size(size)})", flush=True)
        if not dry:
            inventory.remove(entry)
    print(f"{_size(freed)} {'could be ' if dry else ''}freed")


def _old(environments: Environments) -> list[inventory.Entry]:
    """What this version of Sagebrush, on this interpreter, has no use for; overlays also when nobody asked for long."""
    current: set[Path] = {environments.path(name) for name in images.ENVIRONMENT_NAMES} | {environments.runtime_path()}
    since_us = SystemClock().now_us() - _KEPT_UNUSED_US
    current |= {entry.path for entry in _overlays(environments) if entry.used_us >= since_us}
    return [entry for entry in inventory.entries(environments.directory.absolute()) if entry.path not in current]


def _overlays(environments: Environments) -> list[inventory.Entry]:
    """Further packages over environments of this version."""
    bases = {environments.path(name).name for name in images.ENVIRONMENT_NAMES}
    return [entry for entry in inventory.entries(environments.directory.absolute()) if entry.base in bases]


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count < 2**30 else f"{count / 2**30:.2f} GiB"
