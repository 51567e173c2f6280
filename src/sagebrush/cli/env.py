"""Print the environment that points AWS clients at the platform: eval "$(sagebrush env)"

Credentials last 12 hours. Your own AWS files (~/.aws, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE) are neither read
nor changed; what is printed here comes before them, in this shell alone. Both SDKs hard-code STS's address:
HTTPS_PROXY leads these calls to the platform, everything else over HTTPS passes through as before.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from sagebrush.cli.environment import as_exports, compose
from sagebrush.cli.finding import find_running, load_settings
from sagebrush.cli.session import target

_HOURS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing beyond --data-dir."""


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load_settings(arguments, environ).settings
    platform = find_running(settings)
    print(as_exports(compose(target(settings, platform, environ, seconds=_HOURS * 3600), environ)), end="")
    return 0
