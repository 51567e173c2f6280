"""Debian packages that a benchmark needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def require(**packages: str) -> None:
    """Make sure of programs (program=package): installed when root can, else named, and the benchmark ends."""
    missing = sorted({package for program, package in packages.items() if not shutil.which(program)})
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing Debian packages: {' '.join(missing)}", flush=True)
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        if subprocess.run(install, env=environ, stdout=subprocess.DEVNULL, check=False).returncode == 0:
            return
    sys.exit(f"This benchmark needs Debian packages that are not here: apt install {' '.join(missing)}")
