"""The ``sagebrush`` command. Each subcommand is a module of its own, imported when it is called."""

from sagebrush.cli.main import main

__all__ = ["main"]
