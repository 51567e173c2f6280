"""A control plane to be killed: ``python -m tests.training.control_process DATA_DIR``.

Creates the job ``once`` unless it is there, and ends when that job has ended.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sagebrush.substrate import faultpoints
from sagebrush.substrate.errors import CallerError
from tests.training.requests import job_request
from tests.training.running import start

NAME = "once"
PROGRAM = """
import pathlib, time
print("user code ran loss=0.5", flush=True)
time.sleep(0.3)
pathlib.Path("/opt/ml/model/weights").write_text("trained")
print("user code ended loss=0.25", flush=True)
"""


def main() -> None:
    faultpoints.arm(os.environ)
    running = start(Path(sys.argv[1]))
    request = job_request(NAME, PROGRAM)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]
    try:
        running.describe(NAME)
    except CallerError:
        running.call("CreateTrainingJob", **request)
    running.finished(NAME)
    running.close()


if __name__ == "__main__":
    main()
