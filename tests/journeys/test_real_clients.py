"""The unmodified SDK (v2) and the AWS CLI, as their own processes under ``sagebrush exec``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import ROOT, RunningPlatform, finished, training_job_request

pytestmark = pytest.mark.journey
CLI_2 = Path("/usr/bin/aws")


def test_quickstart_trains_with_the_unmodified_sdk_and_equals_xgboost_called_directly(
    platform: RunningPlatform,
) -> None:
    result = platform.run_client("python", str(ROOT / "examples" / "quickstart" / "train.py"), timeout=400)
    summary = result.stdout
    assert "AUC" in summary
    assert "s3://sagemaker-us-east-1-123456789012/" in summary
    assert "Traceback" not in result.stdout + result.stderr


def test_session_helpers_of_the_sdk_work_unmodified(platform: RunningPlatform) -> None:
    program = (
        "import sagemaker, json; s = sagemaker.Session();"
        "print(json.dumps([s.default_bucket(), s.account_id(), sagemaker.get_execution_role(), s.boto_region_name]))"
    )
    result = platform.run_client("python", "-c", program)
    answers = json.loads(result.stdout.splitlines()[-1])
    assert answers == [
        "sagemaker-us-east-1-123456789012",
        "123456789012",
        "arn:aws:iam::123456789012:role/SageMakerRole",
        "us-east-1",
    ]


def aws(platform: RunningPlatform, *command: str) -> Any:
    return json.loads(platform.run_client("aws", *command, "--output", "json").stdout)


def test_cli_identity_and_role(platform: RunningPlatform) -> None:
    assert ":assumed-role/SageMakerRole/" in aws(platform, "sts", "get-caller-identity")["Arn"]
    role = aws(platform, "iam", "get-role", "--role-name", "SageMakerRole")["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}


def test_cli_copies_syncs_and_removes_objects(platform: RunningPlatform, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a b+ü.txt").write_text("one")
    (source / "deep" / "big.bin").write_bytes(bytes(range(256)) * 64 * 1024)
    platform.run_client("aws", "s3", "mb", "s3://cli-bucket")
    platform.run_client("aws", "s3", "sync", str(source), "s3://cli-bucket/copy")
    assert platform.run_client("aws", "s3", "sync", str(source), "s3://cli-bucket/copy").stdout.strip() == ""
    platform.run_client("aws", "s3", "sync", "s3://cli-bucket/copy", str(tmp_path / "back"))
    assert (tmp_path / "back" / "a b+ü.txt").read_text() == "one"
    assert (tmp_path / "back" / "deep" / "big.bin").read_bytes() == (source / "deep" / "big.bin").read_bytes()
    platform.run_client("aws", "s3", "rm", "--recursive", "s3://cli-bucket/copy")
    platform.run_client("aws", "s3", "rb", "s3://cli-bucket")


def test_cli_describes_and_lists_a_job(platform: RunningPlatform, sagemaker: Any, job_name: str) -> None:
    sagemaker.create_training_job(**training_job_request(job_name, "print('seen by tail')"))
    finished(sagemaker, job_name)
    described = aws(platform, "sagemaker", "describe-training-job", "--training-job-name", job_name)
    assert described["TrainingJobStatus"] == "Completed"
    listed = aws(platform, "sagemaker", "list-training-jobs", "--name-contains", job_name)
    assert [s["TrainingJobName"] for s in listed["TrainingJobSummaries"]] == [job_name]


@pytest.mark.parametrize("follow", [False, True])
def test_cli_version_2_tails_a_job(platform: RunningPlatform, sagemaker: Any, job_name: str, follow: bool) -> None:
    """`logs tail` is in version 2 of the CLI only; Debian's (2.9) wants the endpoint as an option."""
    assert CLI_2.exists(), "apt install awscli (`make test` does, as root)"
    sagemaker.create_training_job(**training_job_request(job_name, "print('seen by tail')"))
    finished(sagemaker, job_name)
    group, prefix = "/aws/sagemaker/TrainingJobs", f"{job_name}/"
    command = [str(CLI_2), "--endpoint-url", platform.endpoint_url, "logs", "tail", group]
    command += ["--log-stream-name-prefix", prefix, "--since", "1h"]
    if follow:
        command = ["timeout", "6", *command, "--follow"]
    tail = platform.command("exec", "--", *command, check=False)
    assert tail.stdout.count("seen by tail") == 1, tail.stderr
    assert tail.returncode == (124 if follow else 0)


def test_the_sdk_attaches_to_an_ended_job(platform: RunningPlatform, sagemaker: Any, job_name: str) -> None:
    sagemaker.create_training_job(**training_job_request(job_name, "print('done')"))
    finished(sagemaker, job_name)
    program = (
        "import sys; from sagemaker.estimator import Estimator; e = Estimator.attach(sys.argv[1]);"
        "print('ATTACHED', e.model_data, e.instance_type, e.output_path)"
    )
    result = platform.run_client("python", "-c", program, job_name)
    attached = result.stdout.partition("ATTACHED ")[2].split()
    assert attached == [
        f"s3://sagemaker-journeys/output/{job_name}/output/model.tar.gz",
        "ml.m5.large",
        "s3://sagemaker-journeys/output",
    ]
