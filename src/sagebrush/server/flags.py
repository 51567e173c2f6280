"""Settings as command-line flags, the same for ``sagebrush up`` and for every process it starts."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from sagebrush.substrate.settings import Settings


def add_settings(parser: argparse.ArgumentParser, *, only: Sequence[str] = ()) -> None:
    """One flag per setting (``--capacity-cpus``), or just ``only`` some. Flags that were not given leave no trace."""
    for field in dataclasses.fields(Settings):
        if only and field.name not in only:
            continue
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=field.name,
            default=argparse.SUPPRESS,
            metavar="|".join(field.metadata["choices"]) or field.name.rpartition("_")[2].upper(),
            help=field.metadata["meaning"],
        )


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings among parsed arguments."""
    names = {field.name for field in dataclasses.fields(Settings)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def parse_flags(words: Sequence[str]) -> dict[str, Any]:
    """The settings flags of a process of ours."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_settings(parser)
    return given(parser.parse_args(words))
