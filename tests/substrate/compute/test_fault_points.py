"""The control plane killed around the start of a shim: one run, never none and never two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sagebrush.testing.launcher_contract import Rig, eventually

_LAUNCH = """
import os, sys
from pathlib import Path
from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Compute, Environment, LaunchSpec
from sagebrush.substrate.settings import Settings
faultpoints.arm(os.environ)
root, program = Path(sys.argv[1]), sys.argv[2]
compute = Compute(Settings(data_dir=root / "data", isolation="process"))
environment = Environment("test", Path(sys.executable), Path(sys.prefix))
compute.launcher.launch(LaunchSpec(root / "attempt", ("python3", "-c", program), root / "attempt" / "ml", environment))
"""


@pytest.mark.fault
@pytest.mark.parametrize("point", ["compute.before-launch-file", "compute.before-shim", "compute.after-shim"])
def test_a_kill_around_the_start_of_a_shim_runs_the_job_exactly_once(
    process_rig: Rig, point: str, tmp_path: Path
) -> None:
    program = "import os; open('ran-' + os.urandom(8).hex(), 'w')"
    spec = process_rig.spec(program)
    command = [sys.executable, "-c", _LAUNCH, str(tmp_path), program]
    killed = subprocess.run(command, env=os.environ | {"SAGEBRUSH_FAULT_POINT": point}, check=False)
    assert killed.returncode == -signal.SIGKILL
    process_rig.launcher.launch(spec)
    assert process_rig.finish(spec).exit_code == 0
    eventually(lambda: len(list(spec.opt_ml.glob("ran-*"))) == 1)
    process_rig.launcher.launch(spec)
    assert len(list(spec.opt_ml.glob("ran-*"))) == 1
