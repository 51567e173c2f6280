"""Virtual environments that look through to another one: what pip puts into them leaves that other one as it is.

On SageMaker a program may install what it likes, as its container is thrown away afterwards. Here environments are
shared and read-only, so each host of a job gets a layer of its own; pip, run from it, takes for installed what the
shared environment has, puts what is new into the layer, and never touches what is below.

    <layer>/pyvenv.cfg                                what makes it a virtual environment (PEP 405)
    <layer>/bin/python3, pip                          found first on the job's PATH; python3 is a link to the
                                                      interpreter, or what hands over to a warm one
    <layer>/lib/pythonX.Y/site-packages/_below.pth    adds the packages of the environments below, after its own
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

#: The job's own layer, below its ``/opt/ml``.
OWN = ".python"
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
#: What the interpreter is called in a layer.
NAMES = ("python3", "python", _VERSION)
#: Since Linux 5.1.
_LONGEST_FIRST_LINE = 255
_PROGRAM = '#!/bin/sh\nexec "$(dirname "$0")/python3" -m {module} "$@"\n'
#: Programs of environments that jobs find in another form.
_STAND_INS = {"torchrun": "sagebrush.runtime.distributed.command"}


def make(layer: Path, python: Path, below: Sequence[Path]) -> None:
    """Make an empty layer for the interpreter ``python`` over the environments ``below``, the topmost first.

    A layer that is there is left as it is: it may hold packages. A few small files: a fraction of a millisecond.
    """
    if (layer / "pyvenv.cfg").exists():
        return
    packages = site_packages(layer)
    packages.mkdir(parents=True, exist_ok=True)
    programs = layer / "bin"
    programs.mkdir(exist_ok=True)
    for name in NAMES:
        (programs / name).unlink(missing_ok=True)
        (programs / name).symlink_to(python)
    own = {"pip": "pip", "pip3": "pip"}
    own |= {name: module for name, module in _STAND_INS.items() if any((p / "bin" / name).exists() for p in below)}
    for name, module in own.items():
        (programs / name).write_text(_PROGRAM.format(module=module))
        (programs / name).chmod(0o755)
    # site.addsitedir, as a path alone in a .pth file would not have the .pth files in that path read.
    lines = [f"import site; site.addsitedir({str(site_packages(prefix))!r})\n" for prefix in below]
    (packages / "_below.pth").write_text("".join(lines))
    (layer / "pyvenv.cfg").write_text(f"home = {_home(python)}\ninclude-system-site-packages = false\n")


def hand_over(layer: Path, python: Path, program: Path) -> bool:
    """Put ``program`` in the place of the layer's ``python3``, run by the interpreter ``python``.

    False, and nothing is done, where the kernel would not read its path in a script's first line.
    """
    first = b"#!%s -IS\n" % os.fsencode(python)
    if len(first) > _LONGEST_FIRST_LINE or any(sign.isspace() for sign in str(python)):
        return False
    beside = layer / "bin" / ".python3"
    beside.write_bytes(first + program.read_bytes())
    beside.chmod(0o755)
    beside.rename(beside.with_name("python3"))
    for name in NAMES[1:]:
        (layer / "bin" / name).unlink(missing_ok=True)
        (layer / "bin" / name).symlink_to("python3")
    return True


def python_of(opt_ml: str) -> str:
    """The interpreter of a job's own layer, where the job sees its ``/opt/ml`` at ``opt_ml``."""
    return f"{opt_ml}/{OWN}/bin/python3"


def site_packages(prefix: Path) -> Path:
    """Where the packages of an environment or layer lie. All are for the interpreter that the platform runs on."""
    return prefix / "lib" / _VERSION / "site-packages"


def _home(python: Path) -> Path:
    """The directory of the interpreter that a virtual environment's ``python`` stands for."""
    while python.is_symlink():
        python = python.parent / python.readlink()
    return python.parent
