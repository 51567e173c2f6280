"""Train and deploy a model with the unmodified SageMaker SDK, against this platform; then kill what serves it.

In a clone of the repository, `make demo` does everything: it also installs the SDK in an environment of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sagebrush.cli import exec as exec_command
from sagebrush.cli import up
from sagebrush.cli.finding import load_settings
from sagebrush.cli.spelling import command
from sagebrush.server import platform_file
from sagebrush.server.data_directory import DataDirectory

#: src/sagebrush/cli/demo.py -> the clone, if this is one.
_CLONE = Path(__file__).resolve().parents[3]
_PROGRAM = _CLONE / "examples" / "quickstart" / "train.py"
_KILLING = _PROGRAM.with_name("survive.py")
_PYTHON = _CLONE / "build" / "clients" / "v2" / "bin" / "python"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", default=argparse.SUPPRESS, help="port to start on, if the platform is not running")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    if not _PROGRAM.exists():
        print(
            "The demo is part of the repository: clone it and run `make demo` there. With an installed Sagebrush:\n"
            "  sagebrush up --detach\n"
            "  python -m venv sdk && sdk/bin/pip install 'sagemaker<3'\n"
            "  sagebrush exec -- sdk/bin/python your_script.py"
        )
        return 1
    if not _PYTHON.exists():
        print(f"sagebrush: the SDK is not installed for the demo yet; run `make demo` in {_CLONE}", file=sys.stderr)
        return 1
    settings = load_settings(arguments, environ).settings
    if platform_file.running(DataDirectory(settings.data_dir).platform_file) is None:
        started = up.run(argparse.Namespace(**vars(arguments), detach=True), environ)
        if started != 0:
            return started
    surroundings = exec_command.environment(arguments, environ) | {"SAGEBRUSH_COMMAND": command()}
    programs = [[str(_PROGRAM)]]
    if Path("/proc/self").exists():  # Elsewhere there is no telling which process is which.
        programs.append([str(_KILLING), str(settings.data_dir)])
    for program in programs:
        result = subprocess.run([str(_PYTHON), *program], env=surroundings, check=False)
        if result.returncode != 0:
            return result.returncode
    return 0
