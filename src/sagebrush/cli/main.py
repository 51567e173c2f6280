"""Parsing the command line and handing over to the subcommand."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from sagebrush import __version__

_EPILOG: Final = """\
first steps:
  sagebrush up --detach                 start the platform in the background
  sagebrush exec -- python train.py     run a program against it
  eval "$(sagebrush env)"               or set up this shell
  sagebrush down                        stop it and its model servers; running jobs go on

Each command finds the platform by its data directory: --data-dir, or SAGEBRUSH_DATA_DIR, or ~/.sagebrush.
"""

#: name -> (one line of help, module with add_arguments(parser) and run(arguments, environ) -> exit code)
_COMMANDS: Final = {
    "up": ("start the platform", "sagebrush.cli.up"),
    "down": ("stop it and its model servers; running jobs go on", "sagebrush.cli.down"),
    "status": ("what runs, and how it is", "sagebrush.cli.status"),
    "doctor": ("try out this machine; say how to mend what it cannot do", "sagebrush.cli.doctor"),
    "config": ("every setting, its value and where the value comes from", "sagebrush.cli.config"),
    "environments": ("list, build, show and prune what jobs run in", "sagebrush.cli.environments"),
    "env": ("print the environment that points AWS clients here", "sagebrush.cli.env"),
    "exec": ("run a command in that environment", "sagebrush.cli.exec"),
    "configure": ("point this user's AWS files here, for good; --undo takes it back", "sagebrush.cli.configure"),
    "credentials": ("print credentials as AWS's credential_process wants them", "sagebrush.cli.credentials"),
    "backup": ("add a backup of everything to a folder, while the platform runs", "sagebrush.cli.backup"),
    "restore": ("make a new data directory from a backup", "sagebrush.cli.restore"),
    "demo": ("train and deploy a model with the SageMaker SDK", "sagebrush.cli.demo"),
}


def main(words: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """The command's entry point; returns its exit code."""
    words = sys.argv[1:] if words is None else words
    environ = os.environ if environ is None else environ
    name = next((word for word in words if not word.startswith("-")), "")
    parser = argparse.ArgumentParser(
        prog="sagebrush",
        description="Your own machine-learning platform, compatible with the Amazon SageMaker API.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sagebrush {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND [OPTION]", required=True)
    for command, (help_line, module) in _COMMANDS.items():
        subparser = subparsers.add_parser(command, help=help_line, description=help_line, allow_abbrev=False)
        if command == name:
            # Only the command that is called is imported: `sagebrush --help` stays instant.
            loaded = importlib.import_module(module)
            subparser.description = loaded.__doc__
            subparser.formatter_class = argparse.RawDescriptionHelpFormatter
            subparser.add_argument("--data-dir", default=argparse.SUPPRESS, help="where the platform keeps everything")
            loaded.add_arguments(subparser)
            subparser.set_defaults(run=loaded.run)
    arguments = parser.parse_args(words)
    return _run(arguments, environ)


def _run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from sagebrush.substrate.errors import CallerError

    try:
        return int(arguments.run(arguments, environ))
    except CallerError as error:
        print(f"sagebrush: {error.message}", file=sys.stderr)
        return getattr(arguments, "failure_code", 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough (`sagebrush config | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
