"""Running a program under the recorder."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.faults.power_loss.disk import Operation, read_log

#: Programs write here what they try ("key ? value") and what was acknowledged ("key value"); a line, one write.
ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True)
class Recording:
    """What a program did below ``root``."""

    root: Path
    operations: list[Operation]

    def said(self, until: int) -> list[str]:
        """The lines that the program had written to ``ACKNOWLEDGED`` before the operation ``until``."""
        name = str(self.root / ACKNOWLEDGED)
        inode = next(found.inode for found in self.operations if found.kind == "c" and found.path == name)
        return [
            operation.data.decode().strip()
            for operation in self.operations[:until]
            if operation.kind == "w" and operation.inode == inode
        ]


def build_recorder(directory: Path) -> Path:
    """Compile ``recorder.c``."""
    library = directory / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    command = ["gcc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return library


def record(recorder: Path, program: str, directory: Path) -> Recording:
    """Run ``program`` to its end on an empty directory, given as its argument."""
    root, log = directory / "recorded", directory / "operations"
    root.mkdir()
    environ = os.environ | {"LD_PRELOAD": str(recorder), "POWER_LOSS_ROOT": str(root), "POWER_LOSS_LOG": str(log)}
    command = [sys.executable, "-c", program, str(root)]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return Recording(root, list(read_log(log)))
