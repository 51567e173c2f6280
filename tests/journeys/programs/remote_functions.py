"""Functions run as jobs, with either generation of the SDK; run by the journeys. Prints one JSON object.

The image is the default one, the requirements file names a package that neither the image nor the client has.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

try:
    from sagemaker.core.helper.session_helper import get_execution_role
    from sagemaker.core.remote_function import remote
except ImportError:  # version 2
    from sagemaker import get_execution_role
    from sagemaker.remote_function import remote

FOLDER, WHEEL = Path(sys.argv[1]), sys.argv[2]
REQUIREMENTS = FOLDER / "requirements.txt"
REQUIREMENTS.write_text(f"{WHEEL}\n")


@dataclass
class Summary:
    """A class of the client's own: it travels by value."""

    total: float
    where: str
    version: str


@remote(instance_type="ml.m5.large", role=get_execution_role(), dependencies=str(REQUIREMENTS))
def summarise(values: list[float], *, offset: float = 0.0) -> Summary:
    import socket

    import numpy
    import sagebrush_journey_probe

    print("computing on", socket.gethostname(), flush=True)
    return Summary(float(numpy.sum(values)) + offset, str(Path.cwd()), sagebrush_journey_probe.WORD)


@remote(instance_type="ml.m5.large", role=get_execution_role())
def divide(a: float, b: float) -> float:
    return a / b


summary = summarise([1.5, 2.5, 3.0], offset=10)
try:
    divide(1, 0)
    raised = ""
except ZeroDivisionError as error:
    raised = repr(error)
print("RESULT " + json.dumps({"summary": vars(summary), "type": type(summary).__name__, "raised": raised}))
