"""The shipped minimal policies: a role and a user with nothing else train, and no statement of them can be spared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.journeys.running import RunningPlatform, eventually, finished, training_job_request
from tests.journeys.test_failing_well import channel_of

pytestmark = pytest.mark.journey
POLICIES = Path(__file__).parents[2] / "examples" / "policies"
BUCKET = "journeys-minimal"
ROLE_NAME, USER_NAME = "TrainingJobRole", "minimal-submitter"
ROLE_ARN = f"arn:aws:iam::123456789012:role/{ROLE_NAME}"
#: Each statement of the role's policy: the action that is missing without it, and on what.
ROLE_NEEDS = {
    "ListInput": ("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"),
    "ReadInput": ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/input/a.csv"),
    "WriteModel": ("s3:PutObject", f"arn:aws:s3:::{BUCKET}/output/"),
}


def shipped(name: str) -> dict[str, Any]:
    text = (POLICIES / name).read_text().replace("amzn-s3-demo-bucket", BUCKET)
    policy: dict[str, Any] = json.loads(text)
    return policy


def without(policy: dict[str, Any], sid: str) -> str:
    return json.dumps(policy | {"Statement": [s for s in policy["Statement"] if s["Sid"] != sid]})


@pytest.fixture(scope="module")
def iam(platform: RunningPlatform) -> Any:
    """IAM as the operator, with the role, the user and the bucket made."""
    client = platform.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    client.create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=document)
    client.create_user(UserName=USER_NAME)
    s3 = platform.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="input/a.csv", Body=b"1,2\n")
    return client


@pytest.fixture(scope="module")
def submitter(platform: RunningPlatform, iam: Any) -> Any:
    """SageMaker as the user sees it."""
    key = iam.create_access_key(UserName=USER_NAME)["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
    return session.client("sagemaker", endpoint_url=platform.endpoint_url, config=Config(retries={"max_attempts": 1}))


@pytest.fixture(autouse=True)
def whole_policies(iam: Any) -> None:
    allow(iam, role=json.dumps(shipped("training_job_role.json")))
    allow(iam, user=json.dumps(shipped("training_job_submitter.json")))


def allow(iam: Any, *, role: str = "", user: str = "") -> None:
    if role:
        iam.put_role_policy(RoleName=ROLE_NAME, PolicyName="minimal", PolicyDocument=role)
    if user:
        iam.put_user_policy(UserName=USER_NAME, PolicyName="minimal", PolicyDocument=user)


def request(name: str) -> dict[str, Any]:
    return training_job_request(
        name,
        "import pathlib; pathlib.Path('/opt/ml/model/m').write_text('model')",
        RoleArn=ROLE_ARN,
        InputDataConfig=[channel_of(f"s3://{BUCKET}/input/")],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
    )


def test_the_role_and_the_user_need_nothing_else(submitter: Any, job_name: str) -> None:
    submitter.create_training_job(**request(job_name))
    job = finished(submitter, job_name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ModelArtifacts"]["S3ModelArtifacts"].startswith(f"s3://{BUCKET}/output/")


def test_the_table_names_every_statement() -> None:
    assert [statement["Sid"] for statement in shipped("training_job_role.json")["Statement"]] == list(ROLE_NEEDS)


@pytest.mark.parametrize("sid", ROLE_NEEDS)
def test_without_a_statement_the_job_fails_and_names_action_resource_and_role(
    iam: Any, submitter: Any, job_name: str, sid: str
) -> None:
    allow(iam, role=without(shipped("training_job_role.json"), sid))
    submitter.create_training_job(**request(job_name))
    job = finished(submitter, job_name)
    assert job["TrainingJobStatus"] == "Failed"
    action, resource = ROLE_NEEDS[sid]
    for named in (action, resource, ROLE_ARN):
        assert named in job["FailureReason"]


@pytest.mark.parametrize(
    ("sid", "missing"),
    [
        (
            "StartJobs",
            "sagemaker:CreateTrainingJob on resource: arn:aws:sagemaker:us-east-1:123456789012:training-job/",
        ),
        ("HandOverTheRole", f"iam:PassRole on resource: {ROLE_ARN} "),
    ],
)
def test_without_a_statement_the_user_starts_nothing(
    platform: RunningPlatform, iam: Any, submitter: Any, job_name: str, sid: str, missing: str
) -> None:
    allow(iam, user=without(shipped("training_job_submitter.json"), sid))
    with pytest.raises(ClientError) as caught:
        submitter.create_training_job(**request(job_name))
    error = caught.value.response
    assert error["Error"]["Code"] == "AccessDeniedException"
    assert missing in error["Error"]["Message"]
    request_id = error["ResponseMetadata"]["RequestId"]
    line = eventually(lambda: _denial(platform, request_id), what="the denial in the log")
    assert json.loads(line[line.index("{") :])["Statement"][0]["Action"] == missing.partition(" ")[0]


def test_without_watching_the_user_sees_nothing(iam: Any, submitter: Any, job_name: str) -> None:
    allow(iam, user=without(shipped("training_job_submitter.json"), "WatchJobs"))
    with pytest.raises(ClientError, match="sagemaker:DescribeTrainingJob"):
        submitter.describe_training_job(TrainingJobName=job_name)


def _denial(platform: RunningPlatform, request_id: str) -> str:
    lines = [
        line
        for file in (platform.data_dir / "logs").iterdir()
        for line in file.read_text(errors="replace").splitlines()
    ]
    return next((line for line in lines if request_id in line and " denied: " in line), "")
