"""``@remote`` of both generations of the SDK: a function of the client's runs as a job, and its result comes back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import RunningPlatform
from tests.substrate.compute.wheels import make_wheel

pytestmark = pytest.mark.journey
PROGRAM = Path(__file__).with_name("programs") / "remote_functions.py"


@pytest.mark.parametrize("sdk", ["v2", "v3"])
def test_a_function_runs_as_a_job_with_its_requirements_and_raises_what_it_raised(
    platform: RunningPlatform, s3: Any, tmp_path: Path, sdk: str
) -> None:
    make_wheel(tmp_path, "sagebrush_journey_probe", "WORD = 'from the requirements'\n")
    wheel = tmp_path / "sagebrush_journey_probe-1.0-py3-none-any.whl"
    s3.put_object(Bucket="sagemaker-journeys", Key=f"remote/{wheel.name}", Body=wheel.read_bytes())
    # Named by an address of the platform: the job's sandbox shows none of this machine's folders.
    key = {"Bucket": "sagemaker-journeys", "Key": f"remote/{wheel.name}"}
    url = s3.generate_presigned_url("get_object", Params=key)
    result = platform.run_client(
        "python", str(PROGRAM), str(tmp_path), f"sagebrush_journey_probe @ {url}", sdk=sdk, timeout=580
    )
    answer = json.loads(result.stdout.partition("RESULT ")[2].splitlines()[0])
    assert answer == {
        "summary": {
            "total": 17.0,
            "where": "/opt/ml/sagemaker_remote_function_workspace",
            "version": "from the requirements",
        },
        "type": "Summary",
        "raised": "ZeroDivisionError('division by zero')",
    }
    assert "computing on algo-1" in result.stdout + result.stderr


_OLD_CLIENT = """
import sagemaker
from sagemaker.remote_function import remote
from sagemaker.remote_function.runtime_environment.runtime_environment_manager import RuntimeEnvironmentManager
RuntimeEnvironmentManager._current_python_version = lambda self: "3.8"  # what a client with Python 3.8 sends
@remote(instance_type="ml.m5.large", role=sagemaker.get_execution_role())
def nothing():
    return None
try:
    nothing()
except Exception as error:
    print("REFUSED", type(error).__name__, str(error).replace(chr(10), " "))
"""


def test_a_client_of_another_python_is_told_so(platform: RunningPlatform) -> None:
    result = platform.run_client("python", "-c", _OLD_CLIENT, timeout=580)
    told = result.stdout.partition("REFUSED ")[2]
    assert told.startswith("RuntimeEnvironmentError")
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"Python version found in the container is '{here}'" in told
    assert "does not match python version '3.8' on the local client" in told
