"""Programs as jobs are given them."""

from __future__ import annotations

import base64


def container_command(program: str) -> dict[str, list[str]]:
    """A program as ContainerEntrypoint and ContainerArguments, whose members are single lines of 256 characters."""
    start = "import sys, base64; exec(compile(base64.b64decode(''.join(sys.argv[1:])), 'train.py', 'exec'))"
    text = base64.b64encode(program.encode()).decode()
    pieces = [text[i : i + 256] for i in range(0, len(text), 256)]
    return {"ContainerEntrypoint": ["python3", "-u", "-c", start], "ContainerArguments": pieces}
