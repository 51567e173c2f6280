"""Run a command in the environment that points AWS clients at the platform: sagebrush exec -- python train.py

The command replaces this process, so its exit code and signals are its own. 125: the platform is not running;
126: the command cannot be run; 127: there is no such command.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from sagebrush.cli.environment import applied, compose
from sagebrush.cli.finding import find_running, load_settings
from sagebrush.cli.session import target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments, after --")
    parser.set_defaults(failure_code=125)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        print("sagebrush: exec needs a command: sagebrush exec -- python train.py", file=sys.stderr)
        return 125
    surroundings = environment(arguments, environ)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, surroundings)
    except FileNotFoundError:
        print(f"sagebrush: there is no command {command[0]!r}", file=sys.stderr)
        return 127
    except OSError as error:
        print(f"sagebrush: cannot run {command[0]!r}: {error.strerror}", file=sys.stderr)
        return 126


def environment(arguments: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, str]:
    """Everything that a command's environment has here. Raises CallerError when no platform runs."""
    settings = load_settings(arguments, environ).settings
    platform = find_running(settings)
    return applied(compose(target(settings, platform, environ, seconds=None), environ), environ)
