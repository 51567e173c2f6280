"""Finding the platform that a command is about."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from sagebrush.cli.spelling import command
from sagebrush.server.data_directory import DataDirectory
from sagebrush.server.flags import given
from sagebrush.server.platform_file import PlatformFile, running
from sagebrush.substrate import settings as settings_module
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import LoadedSettings, Settings


def load_settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> LoadedSettings:
    """The settings under this command line and environment. Raises CallerError naming a wrong one."""
    return settings_module.load(given(arguments), environ)


def find_running(settings: Settings) -> PlatformFile:
    """The platform that runs on the data directory. Raises CallerError saying how to start one."""
    found = running(DataDirectory(settings.data_dir).platform_file)
    if found is None:
        raise CallerError(
            "NotRunning",
            f"Sagebrush is not running on the data directory {settings.data_dir}. Start it: {command()} up --detach",
        )
    if not found.ready:
        raise CallerError("NotReady", f"Sagebrush is still starting on {settings.data_dir}. Try again in a moment.")
    return found
