"""The API's answers and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from sagebrush.substrate.calls import Call, OwnerToken
from sagebrush.substrate.errors import CallerError
from sagebrush.training import tables
from tests.training.requests import ROLE, job_request
from tests.training.running import Running, eventually
from tests.training.test_jobs import STOPPABLE, valid


def refused(running: Running, operation: str, **request: Any) -> CallerError:
    with pytest.raises(CallerError) as caught:
        running.call(operation, **request)
    return caught.value


def test_a_name_that_is_taken_is_told_with_the_arn(running: Running) -> None:
    arn = running.call("CreateTrainingJob", **job_request("once", "pass"))["TrainingJobArn"]
    error = refused(running, "CreateTrainingJob", **job_request("once", "pass"))
    assert error.code == "ResourceInUse"
    assert error.message == (
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        f"exists ({arn})"
    )
    running.finished("once")


def test_a_role_that_sagemaker_cannot_assume_is_refused(running: Running) -> None:
    role = ROLE.replace("SageMakerRole", "Nobody")
    error = refused(running, "CreateTrainingJob", **job_request("job", RoleArn=role))
    assert error.code == "ValidationException"
    assert error.message == (
        f"Could not assume role {role}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )


def test_an_unknown_image_is_refused_and_the_known_ones_are_named(running: Running) -> None:
    request = job_request("job")
    request["AlgorithmSpecification"]["TrainingImage"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/no-such:1"
    error = refused(running, "CreateTrainingJob", **request)
    assert error.code == "ValidationException"
    assert "no-such:1" in error.message
    assert "xgboost" in error.message


def test_a_broken_request_leaves_nothing_behind(running: Running) -> None:
    refused(running, "CreateTrainingJob", **job_request("job", OutputDataConfig={"S3OutputPath": "s3://"}))
    assert running.call("ListTrainingJobs") == {"TrainingJobSummaries": []}


@pytest.mark.parametrize(
    "operation", ["DescribeTrainingJob", "StopTrainingJob", "DeleteTrainingJob", "UpdateTrainingJob"]
)
def test_a_missing_job_is_a_validation_exception(running: Running, operation: str) -> None:
    error = refused(running, operation, TrainingJobName="nothing")
    assert error.code == "ValidationException"
    assert "Requested resource not found" in error.message
    assert "Could not find" in error.message


def test_describe_echoes_the_request_and_leaves_absent_what_was_absent(running: Running) -> None:
    request = job_request(
        "echo",
        STOPPABLE,
        DebugHookConfig={"S3OutputPath": "s3://bucket/debug", "CollectionConfigurations": []},
        Environment={"A": "b"},
        Tags=[{"Key": "team", "Value": "tests"}],
        EnableNetworkIsolation=False,
    )
    del request["StoppingCondition"]
    running.call("CreateTrainingJob", **request)
    job = running.describe("echo")
    for member in set(request) - {"Tags", "OutputDataConfig"}:
        assert job[member] == request[member]
    assert job["OutputDataConfig"] == request["OutputDataConfig"] | {"KmsKeyId": ""}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert not {"Tags", "TrainingEndTime", "FailureReason", "VpcConfig", "FinalMetricDataList"} & set(job)
    valid("DescribeTrainingJob", job)
    running.call("StopTrainingJob", TrainingJobName="echo")
    running.finished("echo")


def test_an_ended_job_cannot_be_stopped_and_a_running_one_not_deleted(running: Running) -> None:
    running.call("CreateTrainingJob", **job_request("job", STOPPABLE))
    error = refused(running, "DeleteTrainingJob", TrainingJobName="job")
    assert error.code == "ResourceInUse"
    running.call("StopTrainingJob", TrainingJobName="job")
    running.finished("job")
    error = refused(running, "StopTrainingJob", TrainingJobName="job")
    assert error.message == "The request was rejected because the training job is in status Stopped."


def test_a_deleted_jobs_name_is_free_again(running: Running) -> None:
    running.call("CreateTrainingJob", **job_request("again", "print('one')"))
    running.finished("again")
    running.call("DeleteTrainingJob", TrainingJobName="again")
    refused(running, "DescribeTrainingJob", TrainingJobName="again")
    running.call("CreateTrainingJob", **job_request("again", "print('two')"))
    assert running.finished("again")["TrainingJobStatus"] == "Completed"


def test_lists_filter_and_sort(running: Running) -> None:
    for name, program in (("b-good", "pass"), ("a-good", "pass"), ("c-bad", "raise SystemExit(1)")):
        running.call("CreateTrainingJob", **job_request(name, program))
        running.finished(name)

    def names(**request: Any) -> list[str]:
        output = running.call("ListTrainingJobs", **request)
        valid("ListTrainingJobs", output)
        return [summary["TrainingJobName"] for summary in output["TrainingJobSummaries"]]

    assert names() == ["b-good", "a-good", "c-bad"]
    assert names(SortBy="Name", SortOrder="Descending") == ["c-bad", "b-good", "a-good"]
    assert names(StatusEquals="Failed") == ["c-bad"]
    assert sorted(names(NameContains="good")) == ["a-good", "b-good"]
    assert names(WarmPoolStatusEquals="Available") == []
    assert "NextToken" not in running.call("ListTrainingJobs")
    summary = running.call("ListTrainingJobs", NameContains="c-bad")["TrainingJobSummaries"][0]
    assert (summary["SecondaryStatus"], "TrainingEndTime" in summary) == ("Failed", True)


def test_an_update_changes_what_describe_shows_while_the_job_runs(running: Running) -> None:
    running.call("CreateTrainingJob", **job_request("job", STOPPABLE))
    eventually(lambda: "ready" in running.printed("job"))
    arn = running.call("UpdateTrainingJob", TrainingJobName="job", ProfilerConfig={"DisableProfiler": True})
    assert arn == {"TrainingJobArn": running.describe("job")["TrainingJobArn"]}
    running.call("UpdateTrainingJob", TrainingJobName="job", ResourceConfig={"KeepAlivePeriodInSeconds": 60})
    job = running.describe("job")
    assert job["ProfilerConfig"] == {"DisableProfiler": True}
    assert job["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 60
    assert job["ResourceConfig"]["InstanceType"] == "ml.m5.large"
    running.call("StopTrainingJob", TrainingJobName="job")
    running.finished("job")
    assert "not InProgress" in refused(running, "UpdateTrainingJob", TrainingJobName="job").message


def test_a_repeated_call_of_an_owner_gets_the_first_answer_whatever_has_changed_since(running: Running) -> None:
    """A pipeline that was killed between its call and its record asks again: perhaps after the job is deleted."""
    platform = running.platform
    principal, settings = running.guard.open_principal(), platform.settings
    owner = OwnerToken("arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/1", "Train", 1)

    def ask() -> str:
        request = job_request("owned", "pass")
        call = Call(
            platform,
            "sagemaker",
            "CreateTrainingJob",
            principal,
            settings.account,
            settings.region,
            "request",
            owner=owner,
        )
        return str(platform.calls.dispatch(call, request)["TrainingJobArn"])

    first = ask()
    running.finished("owned")
    running.call("DeleteTrainingJob", TrainingJobName="owned")
    assert ask() == first
    assert platform.store.read(lambda conn: tables.next_in_queue(conn, 10)) == []
    with pytest.raises(CallerError, match="Could not find"):
        running.describe("owned")
