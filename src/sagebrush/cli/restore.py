"""Make a new data directory from a backup.

sagebrush restore FOLDER --data-dir NEW [--key-file FILE]

With SAGEBRUSH_DATABASE_URL (or --database-url) the databases go to PostgreSQL, wherever the backup was taken of; that
database must be empty. Jobs that ran when the backup was taken have no processes any more: they fail, or are tried
again where their RetryStrategy says so. Endpoints start their model servers again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from sagebrush.cli.finding import load_settings
from sagebrush.cli.spelling import command
from sagebrush.server import backup
from sagebrush.server.flags import add_settings
from sagebrush.substrate.clock import SystemClock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--backup", default="", metavar="NAME", help="which one (default: the newest)")
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help="the platform's key, where it is not in the backup"
    )
    add_settings(parser, only=("database_url",))


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load_settings(arguments, environ).settings
    restored = backup.restore(
        settings,
        arguments.folder.expanduser().absolute(),
        SystemClock(),
        name=arguments.backup,
        key_file=arguments.key_file,
        progress=lambda said: print(said, file=sys.stderr),
    )
    print(f"Restored {restored.name} to {settings.data_dir}: {restored.files} object files.")
    print(f"Start it: {command()} up --data-dir {settings.data_dir}")
    return 0
