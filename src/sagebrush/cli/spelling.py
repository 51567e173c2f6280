"""How this user can type the command: ``sagebrush`` where the shell finds it, else the path it was started by."""

from __future__ import annotations

import os
import shlex
import shutil
import sys


def command(search_path: str | None = None, started_as: str | None = None) -> str:
    """The word to print in front of subcommands. ``search_path`` is PATH, ``started_as`` the program's own path."""
    program = os.path.abspath(sys.argv[0] if started_as is None else started_as)  # noqa: PTH100 - links stay as typed
    found = shutil.which("sagebrush", path=search_path)
    if not os.access(program, os.X_OK) or os.path.basename(program) != "sagebrush":  # noqa: PTH119
        return "sagebrush"  # python -m sagebrush.cli: there is no better word.
    if found is not None and os.path.samefile(found, program):  # noqa: PTH121
        return "sagebrush"
    near = os.path.relpath(program)
    return shlex.quote(program if near.startswith("..") else near)
