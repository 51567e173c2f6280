"""Training jobs from boto3: what is created, described, listed, stopped, deleted, and what lies in S3 afterwards."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.journeys.running import RunningPlatform, eventually, finished, training_job_request
from tests.journeys.test_failing_well import channel_of

pytestmark = pytest.mark.journey
BUCKET = "sagemaker-journeys"


def members_of(s3: Any, uri: str) -> dict[str, bytes]:
    key = uri.removeprefix(f"s3://{BUCKET}/")
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]


def test_a_job_sees_the_documented_files_and_variables_and_its_artefacts_reach_s3(
    sagemaker: Any, s3: Any, job_name: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{job_name}/data/a.csv", Body=b"1,2\n")
    s3.put_object(Bucket=BUCKET, Key=f"{job_name}/data/deep/b.csv", Body=b"3,4\n")
    program = """
import json, os, pathlib
root = pathlib.Path("/opt/ml")
seen = {
    "hyperparameters": json.loads((root / "input/config/hyperparameters.json").read_text()),
    "resourceconfig": json.loads((root / "input/config/resourceconfig.json").read_text()),
    "inputdataconfig": json.loads((root / "input/config/inputdataconfig.json").read_text()),
    "files": sorted(str(p.relative_to(root / "input/data")) for p in (root / "input/data").rglob("*") if p.is_file()),
    "job": os.environ["TRAINING_JOB_NAME"], "arn": os.environ["TRAINING_JOB_ARN"], "mine": os.environ["MY_OWN"],
}
(root / "model/seen.json").write_text(json.dumps(seen))
(root / "output/data").mkdir(parents=True, exist_ok=True)
(root / "output/data/extra.txt").write_text("more")
"""
    request = training_job_request(
        job_name,
        program,
        InputDataConfig=[channel_of(f"s3://{BUCKET}/{job_name}/data/")],
        HyperParameters={"depth": "3"},
        Environment={"MY_OWN": "value"},
        Tags=[{"Key": "team", "Value": "tests"}],
    )
    arn = sagemaker.create_training_job(**request)["TrainingJobArn"]
    job = finished(sagemaker, job_name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    seen = json.loads(members_of(s3, job["ModelArtifacts"]["S3ModelArtifacts"])["seen.json"])
    assert seen["hyperparameters"] == {"depth": "3"}
    assert seen["resourceconfig"]["current_host"] == "algo-1"
    assert seen["resourceconfig"]["hosts"] == ["algo-1"]
    assert seen["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    assert seen["files"] == ["train/a.csv", "train/deep/b.csv"]
    assert (seen["job"], seen["arn"], seen["mine"]) == (job_name, arn, "value")
    output = f"s3://{BUCKET}/output/{job_name}/output/output.tar.gz"
    assert members_of(s3, output)["extra.txt"] == b"more"
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "tests"}]
    statuses = [t["Status"] for t in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in t for t in job["SecondaryStatusTransitions"])
    assert job["BillableTimeInSeconds"] >= job["TrainingTimeInSeconds"] >= 0
    assert job["AlgorithmSpecification"]["TrainingImage"] == request["AlgorithmSpecification"]["TrainingImage"]


def test_two_hosts_see_each_other_and_their_own_shards(sagemaker: Any, s3: Any, job_name: str) -> None:
    for index in range(4):
        s3.put_object(Bucket=BUCKET, Key=f"{job_name}/part-{index}.csv", Body=b"1\n")
    program = """
import json, os, pathlib, socket
config = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
me = config["current_host"]
addresses = {h: socket.gethostbyname(h) for h in config["hosts"]}
files = sorted(p.name for p in pathlib.Path("/opt/ml/input/data/train").iterdir())
print(json.dumps({"me": me, "distinct": len(set(addresses.values())), "files": files}))
"""
    channel = channel_of(f"s3://{BUCKET}/{job_name}/")
    channel["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    request = training_job_request(job_name, program, InputDataConfig=[channel])
    request["ResourceConfig"]["InstanceCount"] = 2
    sagemaker.create_training_job(**request)
    job = finished(sagemaker, job_name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_logs_of_every_host_are_in_cloudwatch(platform: RunningPlatform, sagemaker: Any, job_name: str) -> None:
    logs = platform.client("logs")
    request = training_job_request(job_name, "print('hello'); print('tab\\there')")
    request["ResourceConfig"]["InstanceCount"] = 2
    sagemaker.create_training_job(**request)
    assert finished(sagemaker, job_name)["TrainingJobStatus"] == "Completed"
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job_name}/", orderBy="LogStreamName")
    names = [s["logStreamName"] for s in streams["logStreams"]]
    assert [n.rsplit("-", 1)[0] for n in names] == [f"{job_name}/algo-1", f"{job_name}/algo-2"]
    assert "nextToken" not in streams
    for name in names:
        events = logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
        messages = [e["message"] for e in events]
        assert "hello" in messages
        assert "tab#011here" in messages


def test_metric_definitions_reach_describe_and_cloudwatch(
    platform: RunningPlatform, sagemaker: Any, job_name: str
) -> None:
    program = "for i in range(5): print(f'epoch={i} loss={1 / (i + 1):.3f}')"
    request = training_job_request(job_name, program)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": r"loss=([0-9.]+)"}]
    sagemaker.create_training_job(**request)
    job = finished(sagemaker, job_name)
    (final,) = job["FinalMetricDataList"]
    assert final["MetricName"] == "loss"
    assert final["Value"] == pytest.approx(0.2)
    points = platform.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": job_name}],
        StartTime=job["CreationTime"],
        EndTime=job["TrainingEndTime"] + timedelta(hours=1),
        Period=3600,
        Statistics=["SampleCount", "Maximum"],
    )["Datapoints"]
    assert sum(p["SampleCount"] for p in points) == 5
    assert max(p["Maximum"] for p in points) == pytest.approx(1.0)


def test_list_filters_sorts_and_pages(sagemaker: Any, job_name: str) -> None:
    names = [f"{job_name}-{i}" for i in range(5)]
    for name in names:
        sagemaker.create_training_job(**training_job_request(name, "pass"))
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=job_name, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    listed = [page["TrainingJobSummaries"] for page in pages]
    assert [len(page) for page in listed] == [2, 2, 1]
    assert [s["TrainingJobName"] for page in listed for s in page] == names
    for name in names:
        finished(sagemaker, name)
    completed = sagemaker.list_training_jobs(NameContains=job_name, StatusEquals="Completed")["TrainingJobSummaries"]
    assert len(completed) == 5
    assert sagemaker.list_training_jobs(NameContains=job_name, StatusEquals="Failed")["TrainingJobSummaries"] == []


def test_a_deleted_job_is_gone_and_a_running_one_cannot_be_deleted(sagemaker: Any, job_name: str) -> None:
    sagemaker.create_training_job(**training_job_request(job_name, "import time; time.sleep(600)"))
    with pytest.raises(ClientError) as caught:
        sagemaker.delete_training_job(TrainingJobName=job_name)
    assert caught.value.response["Error"]["Code"] in {"ValidationException", "ResourceInUse"}
    sagemaker.stop_training_job(TrainingJobName=job_name)
    finished(sagemaker, job_name)
    sagemaker.delete_training_job(TrainingJobName=job_name)
    with pytest.raises(ClientError) as caught:
        sagemaker.describe_training_job(TrainingJobName=job_name)
    assert "not found" in str(caught.value).lower() or "could not find" in str(caught.value).lower()


def test_a_job_has_credentials_of_its_role_and_never_the_operators(
    platform: RunningPlatform, sagemaker: Any, s3: Any, job_name: str
) -> None:
    program = """
import json, os, pathlib, urllib.request
assert "AWS_SECRET_ACCESS_KEY" not in os.environ
request = urllib.request.Request(
    os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
    headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]},
)
pathlib.Path("/opt/ml/model/credentials.json").write_bytes(urllib.request.urlopen(request).read())
"""
    sagemaker.create_training_job(**training_job_request(job_name, program))
    job = finished(sagemaker, job_name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    given = json.loads(members_of(s3, job["ModelArtifacts"]["S3ModelArtifacts"])["credentials.json"])
    import boto3

    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["Token"], "us-east-1")
    identity = session.client("sts", endpoint_url=platform.endpoint_url).get_caller_identity()
    assert ":assumed-role/SageMakerRole/" in identity["Arn"]
    iam = session.client("iam", endpoint_url=platform.endpoint_url)
    with pytest.raises(ClientError) as caught:
        iam.create_user(UserName="intruder")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert platform.client("iam").list_users()["Users"] is not None


def test_jobs_queue_for_capacity_in_order() -> None:
    from tests.journeys.running import discard, start_platform

    running = start_platform(SAGEBRUSH_CAPACITY_CPUS="2", SAGEBRUSH_CAPACITY_MEMORY_GIB="8")
    try:
        running.client("s3").create_bucket(Bucket=BUCKET)
        sagemaker = running.client("sagemaker")
        for name in ("first", "second"):
            sagemaker.create_training_job(**training_job_request(name, "import time; time.sleep(1)"))
        first, second = finished(sagemaker, "first"), finished(sagemaker, "second")
        assert first["TrainingJobStatus"] == second["TrainingJobStatus"] == "Completed"
        training = {t["Status"]: t for t in second["SecondaryStatusTransitions"]}["Training"]
        assert training["StartTime"] >= first["SecondaryStatusTransitions"][-2]["StartTime"]
    finally:
        discard(running)


def test_state_survives_down_and_up(job_name: str) -> None:
    from tests.journeys.running import discard, start_platform

    running = start_platform(SAGEBRUSH_CAPACITY_CPUS="8")
    try:
        running.client("s3").create_bucket(Bucket=BUCKET)
        running.client("s3").put_object(Bucket=BUCKET, Key="kept", Body=b"kept")
        sagemaker = running.client("sagemaker")
        sagemaker.create_training_job(**training_job_request(job_name, "import time; time.sleep(4); print('done')"))
        eventually(
            lambda: sagemaker.describe_training_job(TrainingJobName=job_name)["SecondaryStatus"] == "Training",
            seconds=120,
        )
        running.down()
        running.up()
        assert running.client("s3").get_object(Bucket=BUCKET, Key="kept")["Body"].read() == b"kept"
        assert finished(running.client("sagemaker"), job_name)["TrainingJobStatus"] == "Completed"
    finally:
        discard(running)
