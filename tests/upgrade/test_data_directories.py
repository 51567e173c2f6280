"""Data directories that earlier versions have left are opened by this one, and nothing in them is lost.

``data_directories/<date>.tar.gz`` was made by the platform of that day (``making.py`` says how); it is never made anew.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.journeys.running import RunningPlatform, discard, free_port
from tests.upgrade.making import ACCESS_KEYS

pytestmark = pytest.mark.journey
KEPT = sorted(Path(__file__).with_name("data_directories").glob("*.tar.gz"))


@pytest.fixture(params=KEPT, ids=lambda path: path.name.removesuffix(".tar.gz"))
def platform(request: pytest.FixtureRequest) -> Iterator[RunningPlatform]:
    directory = Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp"))
    with tarfile.open(request.param) as tar:
        tar.extractall(directory, filter="data")
    made = RunningPlatform(directory, free_port(), {})
    made.up()
    yield made
    discard(made)


def test_everything_is_there_and_goes_on(platform: RunningPlatform, request: pytest.FixtureRequest) -> None:
    sagemaker, s3, iam = (platform.client(service) for service in ("sagemaker", "s3", "iam"))
    jobs = sagemaker.list_training_jobs(SortBy="Name", SortOrder="Ascending")["TrainingJobSummaries"]
    assert [job["TrainingJobName"] for job in jobs] == ["kept-completed", "kept-failed"]
    completed = sagemaker.describe_training_job(TrainingJobName="kept-completed")
    assert completed["TrainingJobStatus"] == "Completed"
    assert [(metric["MetricName"], metric["Value"]) for metric in completed["FinalMetricDataList"]] == [("loss", 0.25)]
    assert sagemaker.list_tags(ResourceArn=completed["TrainingJobArn"])["Tags"] == [{"Key": "team", "Value": "fixture"}]
    failed = sagemaker.describe_training_job(TrainingJobName="kept-failed")
    assert failed["FailureReason"].startswith("AlgorithmError: ValueError: kept (")
    logs = platform.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="kept-completed")["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
    assert "loss=0.25" in [event["message"] for event in events["events"]]
    whole = s3.get_object(Bucket="kept", Key="data/of ümlauts.txt")
    assert (whole["Body"].read(), whole["Metadata"]) == (b"kept since the fourth landing", {"by": "fixture"})
    assert s3.head_object(Bucket="kept", Key="parts")["ContentLength"] == 1000
    _, _, artefact = completed["ModelArtifacts"]["S3ModelArtifacts"].partition("s3://kept/")
    assert s3.head_object(Bucket="kept", Key=artefact)["ContentLength"] > 0
    assert sagemaker.describe_endpoint_config(EndpointConfigName="kept")["ProductionVariants"][0]["ModelName"] == "kept"
    # And a table that came later takes what it is for.
    iam.create_group(GroupName="later")
    iam.add_user_to_group(GroupName="later", UserName="kept")
    key, secret = ACCESS_KEYS[request.node.callspec.id]
    own = boto3.client(
        "s3",
        endpoint_url=platform.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )
    assert own.get_object(Bucket="kept", Key="parts")["ContentLength"] == 1000
    with pytest.raises(ClientError, match="AccessDenied"):
        own.put_object(Bucket="kept", Key="new", Body=b"")
