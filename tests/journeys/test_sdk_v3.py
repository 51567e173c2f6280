"""Version 3 of the SageMaker SDK, unmodified, as its own process under ``sagebrush exec``."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import ROOT, RunningPlatform
from tests.journeys.serving import times
from tests.substrate.compute.wheels import make_wheel

pytestmark = pytest.mark.journey
PROGRAMS = Path(__file__).with_name("programs")
CONSTRAINTS = ROOT / "src/sagebrush/substrate/compute/environments/specs/clients/sagemaker-3.27.0.txt"
BUCKET = "sagemaker-journeys"


def result_of(platform: RunningPlatform, program: str, *arguments: str) -> dict[str, Any]:
    """What a program of :data:`PROGRAMS` prints as its result."""
    done = platform.run_client("python", str(PROGRAMS / program), *arguments, sdk="v3", timeout=580)
    result: dict[str, Any] = json.loads(done.stdout.partition("RESULT ")[2].splitlines()[0])
    return result


@pytest.fixture
def prefix() -> str:
    return f"v3-{uuid.uuid4().hex[:8]}"


def test_session_helpers_work_unmodified(platform: RunningPlatform) -> None:
    program = (
        "import json; from sagemaker.core.helper.session_helper import Session, get_execution_role; s = Session();"
        "print(json.dumps([s.default_bucket(), s.account_id(), get_execution_role(), s.boto_region_name]))"
    )
    result = platform.run_client("python", "-c", program, sdk="v3")
    assert json.loads(result.stdout.splitlines()[-1]) == [
        "sagemaker-us-east-1-123456789012",
        "123456789012",
        "arn:aws:iam::123456789012:role/SageMakerRole",
        "us-east-1",
    ]


def test_the_quickstart_trains_and_deploys_what_equals_xgboost_called_directly(platform: RunningPlatform) -> None:
    program = str(ROOT / "examples" / "quickstart_v3" / "train.py")
    done = platform.run_client("python", program, sdk="v3", timeout=580)
    assert re.search(r"trained    quickstart-v3-\d+: Completed", done.stdout), done.stdout
    assert "114 rows predicted" in done.stdout
    difference = re.search(r"difference to xgboost called directly: (\S+)", done.stdout)
    assert difference is not None
    assert float(difference[1]) < 1e-6


def test_the_trainer_runs_scripts_commands_and_several_hosts_and_tells_of_failures(
    platform: RunningPlatform, s3: Any, tmp_path: Path, prefix: str
) -> None:
    make_wheel(tmp_path, "sagebrush_journey_probe", "WORD = 'from the requirements'\n")
    wheel = tmp_path / "sagebrush_journey_probe-1.0-py3-none-any.whl"
    key = {"Bucket": BUCKET, "Key": f"{prefix}/{wheel.name}"}
    s3.put_object(**key, Body=wheel.read_bytes())
    url = s3.generate_presigned_url("get_object", Params=key)
    told = result_of(platform, "sdk_v3_training.py", str(tmp_path), prefix, f"sagebrush_journey_probe @ {url}")
    script = told["script"]
    assert (script["status"], script["said"]) == ("Completed", True)
    assert script["worst"] < 1e-6
    assert script["metrics"] == [["accuracy", pytest.approx(script["accuracy"], abs=1e-4)]]
    assert told["command"] == {"status": "Completed", "said": "algo-1 says 42"}
    assert told["hosts"] == {"status": "Completed", "files": ["algo-1", "algo-2"]}
    assert told["torchrun"] == {"status": "Completed", "sums": {"rank0": "3.0", "rank1": "3.0"}}
    assert told["failing"]["status"] == "Failed"
    place = "/opt/ml/input/data/code/failing.py, line 3, in load"
    assert told["failing"]["reason"] == f"AlgorithmError: KeyError: 'diagnosis' ({place}), exit code: 1"


def test_resource_classes_create_get_list_wait_stop_update_and_delete(
    platform: RunningPlatform, s3: Any, prefix: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}/model.tar.gz", Body=times(3.0))
    told = result_of(platform, "sdk_v3_resources.py", prefix, f"s3://{BUCKET}/{prefix}/model.tar.gz")
    training = told["training"]
    assert (training["status"], training["stopped"]) == ("Completed", "Stopped")
    assert (training["listed"], training["left"]) == (["-done", "-stopped"], ["-stopped"])
    assert "Requested resource not found" in training["gone"]
    assert told["serving"] == {
        "answers": [[3.0, 6.0], [3.0, 6.0]],
        "models": ["-1", "-2"],
        "configuration": "-2",
        "left": [],
    }


def test_model_builder_pickles_a_model_and_code_of_the_clients_and_deploys_them(
    platform: RunningPlatform, s3: Any, prefix: str
) -> None:
    key = {"Bucket": BUCKET, "Key": f"{prefix}/constraints.txt"}
    s3.put_object(**key, Body=CONSTRAINTS.read_bytes())
    url = s3.generate_presigned_url("get_object", Params=key)
    told = result_of(platform, "sdk_v3_model_builder.py", prefix, url)
    assert told == {"status": "InService", "rows": 150, "same": True}
