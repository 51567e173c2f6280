"""Every setting, its value, and where that comes from: a flag, the environment, sagebrush.toml or the default."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from sagebrush.cli.finding import load_settings
from sagebrush.server.flags import add_settings
from sagebrush.substrate.settings import Settings, describe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = [name for name in Settings.__slots__ if name != "data_dir"]
    add_settings(parser, only=names)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    rows = [
        (name, _masked(name, value), origin, meaning)
        for name, value, origin, meaning in describe(load_settings(arguments, environ))
    ]
    if arguments.json:
        print(json.dumps({name: {"value": value, "origin": origin} for name, value, origin, _ in rows}, indent=1))
        return 0
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, value, origin, meaning in rows:
        print(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin:<{widths[2]}}  {meaning}".rstrip())
    return 0


def _masked(name: str, value: str) -> str:
    """A database URL without its password."""
    if name != "database_url" or "@" not in value:
        return value
    scheme, separator, rest = value.partition("://")
    credentials, _, address = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}{separator}{user}:***@{address}" if ":" in credentials else value
