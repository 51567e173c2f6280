"""What CreateTrainingJob refuses, and that what real SDKs send is not refused."""

from __future__ import annotations

from typing import Any

import pytest

from sagebrush.training.model.request import problems
from tests.training.requests import channel, job_request


def refused(**changes: Any) -> str:
    found = problems(job_request("job") | changes)
    assert found, "the request was accepted"
    return " ".join(found)


def algorithm(**changes: Any) -> dict[str, Any]:
    return {"AlgorithmSpecification": job_request("job")["AlgorithmSpecification"] | changes}


def resources(**config: Any) -> dict[str, Any]:
    return {"ResourceConfig": {"VolumeSizeInGB": 5} | config}


def test_a_plain_request_has_no_problems() -> None:
    assert problems(job_request("job", InputDataConfig=[channel("s3://bucket-one/prefix")])) == []


def test_requests_as_the_sdk_sends_them_have_no_problems() -> None:
    xgboost = job_request(
        "sagemaker-xgboost-2026-11-22-15-07-29-419",
        InputDataConfig=[channel("s3://sagemaker-us-west-2-123456789012/x") | {"ContentType": "csv"}],
        HyperParameters={
            "sagemaker_submit_directory": '"s3://sagemaker-us-west-2-123456789012/x/source/sourcedir.tar.gz"',
            "sagemaker_program": '"train.py"',
        },
        DebugHookConfig={"S3OutputPath": "s3://sagemaker-us-west-2-123456789012/", "CollectionConfigurations": []},
        ProfilerConfig={"S3OutputPath": "s3://sagemaker-us-west-2-123456789012/", "DisableProfiler": False},
    )
    spot = job_request(
        "my-2026",
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 200},
        CheckpointConfig={"S3Uri": "s3://sagemaker-us-west-2-123456789012/ck"},
        OutputDataConfig={"S3OutputPath": "s3://sagemaker-us-west-2-123456789012/"},
    )
    remote = job_request(
        "f-2026",
        RetryStrategy={"MaximumRetryAttempts": 1},
        EnableNetworkIsolation=False,
        EnableInterContainerTrafficEncryption=False,
        EnableManagedSpotTraining=False,
    )
    assert [problems(request) for request in (xgboost, spot, remote)] == [[], [], []]


def test_image_and_algorithm_name_exclude_each_other() -> None:
    assert "Only one of TrainingImage and AlgorithmName" in refused(**algorithm(AlgorithmName="mine"))
    missing = {k: v for k, v in job_request("job")["AlgorithmSpecification"].items() if k != "TrainingImage"}
    assert "either TrainingImage or AlgorithmName" in refused(AlgorithmSpecification=missing)
    assert "Cannot find algorithm: mine" in refused(AlgorithmSpecification=missing | {"AlgorithmName": "mine"})


@pytest.mark.parametrize("mode", ["Pipe", "FastFile"])
def test_input_modes_that_are_not_there_yet_are_refused_by_name(mode: str) -> None:
    assert f"TrainingInputMode is '{mode}'" in refused(**algorithm(TrainingInputMode=mode))
    entry = channel("s3://bucket-one/p") | {"InputMode": mode}
    assert f"InputMode of channel 'train' is '{mode}'" in refused(InputDataConfig=[entry])


def test_a_metric_definition_must_be_a_regular_expression_with_a_name_of_its_own() -> None:
    assert "'loss=('" in refused(**algorithm(MetricDefinitions=[{"Name": "loss", "Regex": "loss=("}]))
    twice = [{"Name": "loss", "Regex": "a"}, {"Name": "loss", "Regex": "b"}]
    assert "'loss' occurs 2 times" in refused(**algorithm(MetricDefinitions=twice))


def test_channels_need_names_of_their_own_and_well_formed_uris() -> None:
    assert "'train' occurs 2 times" in refused(
        InputDataConfig=[channel("s3://bucket-one/a"), channel("s3://bucket-one/b")]
    )
    assert "not a valid S3 URI: s3://" in refused(InputDataConfig=[channel("s3://")])
    assert "'..' cannot be the name" in refused(InputDataConfig=[channel("s3://bucket-one/a", "..")])


def test_sources_that_need_pipe_mode_are_refused() -> None:
    entry = channel("s3://bucket-one/a", S3DataType="AugmentedManifestFile", AttributeNames=["x"])
    assert "AugmentedManifestFile" in refused(InputDataConfig=[entry])
    assert "Gzip" in refused(InputDataConfig=[channel("s3://bucket-one/a") | {"CompressionType": "Gzip"}])
    file_system = {"ChannelName": "train", "DataSource": {"FileSystemDataSource": {}}}
    assert "must be one S3DataSource; given: FileSystemDataSource" in refused(InputDataConfig=[file_system])


def test_resources_are_one_type_or_groups() -> None:
    group = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "InstanceGroupName": "a"}
    assert problems(job_request("job") | resources(InstanceGroups=[group])) == []
    assert "together" in refused(**resources(InstanceGroups=[group], InstanceCount=1))
    assert "InstanceType and InstanceCount" in refused(**resources(InstanceType="ml.m5.large"))
    assert "'a' occurs 2 times" in refused(**resources(InstanceGroups=[group, group]))
    assert "at least 1" in refused(**resources(InstanceType="ml.m5.large", InstanceCount=0))
    assert "at most 100" in refused(**resources(InstanceType="ml.m5.large", InstanceCount=101))


def test_a_channel_may_only_name_groups_that_are_there() -> None:
    entry = channel("s3://bucket-one/a", InstanceGroupNames=["b"])
    assert "instance group 'b'" in refused(InputDataConfig=[entry])


def test_spot_training_needs_a_wait_of_at_least_the_runtime() -> None:
    condition = {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 99}
    assert "Invalid MaxWaitTimeInSeconds" in refused(EnableManagedSpotTraining=True, StoppingCondition=condition)
    equal = {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100}
    assert problems(job_request("job", EnableManagedSpotTraining=True, StoppingCondition=equal)) == []
    assert "EnableManagedSpotTraining" in refused(StoppingCondition=condition)


def test_no_job_runs_for_more_than_28_days() -> None:
    assert "2419200" in refused(StoppingCondition={"MaxRuntimeInSeconds": 2419201})


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/x",
        "/opt/ml/model",
        "/opt/ml/input/x",
        "/opt/ml/../../etc",
        "/opt/ml/output",
        "/opt/ml/a\0b",
        "/opt/ml/" + "n" * 256,
        "/opt/ml" + "/n" * 600,
        "/opt/ml/\ud800",
    ],
    ids=lambda path: ascii(path)[:30],
)
def test_checkpoints_lie_under_opt_ml_where_nothing_else_does(path: str) -> None:
    assert "LocalPath" in refused(CheckpointConfig={"S3Uri": "s3://bucket-one/c", "LocalPath": path})


def test_what_would_change_the_run_and_is_not_there_yet_is_refused_by_name() -> None:
    assert "serverless" in refused(ServerlessJobConfig={"JobType": "FineTuning"})
    plan = "arn:aws:sagemaker:us-east-1:123456789012:training-plan/p"
    assert "training plans" in refused(**resources(InstanceType="ml.m5.large", InstanceCount=1, TrainingPlanArn=plan))


def test_what_no_process_can_be_given_is_refused() -> None:
    assert "ContainerArguments" in refused(**algorithm(ContainerEntrypoint=["sh"], ContainerArguments=["a\0b"]))
    assert "Environment variable 'A'" in refused(Environment={"A": "x\0"})


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        job_request("job", InputDataConfig=[channel("s3://")]) | {"OutputDataConfig": {"S3OutputPath": "s3://x"}}
    )
    assert len(found) == 2
