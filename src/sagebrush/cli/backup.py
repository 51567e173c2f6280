"""Add a backup of the data directory to a folder, while the platform runs or not.

sagebrush backup FOLDER            object files that an earlier backup there holds are not copied again
sagebrush backup FOLDER --list     what there is
sagebrush restore FOLDER --data-dir NEW

Without --with-keys the folder is of no use to a thief: the platform's key (keys/platform.key of the data directory),
which seals the secrets in it, is not in it. Keep that in another place; a restore needs it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from sagebrush.cli.finding import load_settings
from sagebrush.server import backup
from sagebrush.substrate.clock import SystemClock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--list", action="store_true", help="only list the backups of the folder")
    parser.add_argument("--with-keys", action="store_true", help="put the platform's key in, too")
    parser.add_argument("--keep", type=_count, default=7, metavar="N", help="how many backups stay (default 7)")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    folder = arguments.folder.expanduser().absolute()
    if arguments.list:
        for found in backup.backups_in(folder):
            print(_line(found))
        return 0
    settings = load_settings(arguments, environ).settings
    taken = backup.take(
        settings,
        folder,
        SystemClock(),
        with_keys=arguments.with_keys,
        keep=arguments.keep,
        progress=lambda said: print(said, file=sys.stderr),
    )
    print(f"Backup {taken.name} in {folder}: {_line(taken)}")
    if not taken.with_keys:
        print(f"To restore it you need {settings.data_dir / 'keys' / 'platform.key'}: keep a copy in another place.")
    return 0


def _count(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _line(found: backup.Backup) -> str:
    key = "with" if found.with_keys else "without"
    return (
        f"{found.name}  {found.files} object files, {found.file_bytes / 2**20:.1f} MiB "
        f"({found.copied} new, {found.copied_bytes / 2**20:.1f} MiB), {key} the platform's key"
    )
