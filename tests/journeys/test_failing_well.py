"""Every failure a user can cause says what happened, where, and what to do; each through a real client."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.journeys.running import ROLE, RunningPlatform, eventually, finished, training_job_request

pytestmark = pytest.mark.journey


def fails(sagemaker: Any, request: dict[str, Any]) -> str:
    """Run a job that must fail; its FailureReason."""
    sagemaker.create_training_job(**request)
    job = finished(sagemaker, request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["SecondaryStatus"] == "Failed"
    assert job["SecondaryStatusTransitions"][-1]["Status"] == "Failed"
    return str(job["FailureReason"])


def refused(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_unknown_image_is_refused_at_create_and_names_what_is_known(sagemaker: Any, job_name: str) -> None:
    request = training_job_request(job_name)
    request["AlgorithmSpecification"]["TrainingImage"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/no-such:1"
    code, message = refused(sagemaker.create_training_job, **request)
    assert code == "ValidationException"
    assert "no-such" in message
    assert "xgboost" in message


def test_missing_bucket_fails_the_job_in_sagemakers_words(sagemaker: Any, job_name: str) -> None:
    channel = channel_of("s3://no-such-bucket-anywhere/data")
    reason = fails(sagemaker, training_job_request(job_name, InputDataConfig=[channel]))
    assert reason.startswith("ClientError: Data download failed")
    assert "no-such-bucket-anywhere" in reason


def test_missing_channel_data_fails_the_job_and_names_the_prefix(sagemaker: Any, job_name: str) -> None:
    channel = channel_of("s3://sagemaker-journeys/no/such/prefix")
    reason = fails(sagemaker, training_job_request(job_name, InputDataConfig=[channel]))
    assert reason.startswith("ClientError: Data download failed")
    assert "s3://sagemaker-journeys/no/such/prefix" in reason


def channel_of(uri: str, name: str = "train", content_type: str = "text/csv") -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": content_type, "DataSource": {"S3DataSource": source}}


def test_bad_hyperparameter_is_named_with_its_value(sagemaker: Any, s3: Any, job_name: str) -> None:
    s3.put_object(Bucket="sagemaker-journeys", Key=f"{job_name}/train.csv", Body=b"1,2,3\n0,1,2\n")
    channel = channel_of(f"s3://sagemaker-journeys/{job_name}/")
    request = training_job_request(job_name, InputDataConfig=[channel], HyperParameters={"num_round": "2", "eta": "7"})
    reason = fails(sagemaker, request)
    assert "eta" in reason
    assert "7" in reason


def test_missing_required_hyperparameter_is_named(sagemaker: Any, s3: Any, job_name: str) -> None:
    s3.put_object(Bucket="sagemaker-journeys", Key=f"{job_name}/train.csv", Body=b"1,2,3\n0,1,2\n")
    channel = channel_of(f"s3://sagemaker-journeys/{job_name}/")
    reason = fails(sagemaker, training_job_request(job_name, InputDataConfig=[channel], HyperParameters={"eta": "0.1"}))
    assert "num_round" in reason


def test_exception_of_user_code_is_told_with_its_line(sagemaker: Any, job_name: str) -> None:
    program = "def train():\n    raise RuntimeError('the rows are upside down')\nprint('starting')\ntrain()\n"
    reason = fails(sagemaker, training_job_request(job_name, program))
    assert "RuntimeError: the rows are upside down" in reason
    assert re.search(r"line 2\b", reason)
    assert "exit code: 1" in reason.lower()


def test_failure_file_wins_over_the_log(sagemaker: Any, job_name: str) -> None:
    program = "open('/opt/ml/output/failure', 'w').write('my own words'); raise SystemExit(3)"
    reason = fails(sagemaker, training_job_request(job_name, program))
    assert "my own words" in reason
    assert "exit code: 3" in reason.lower()


def test_arguments_that_the_program_does_not_take_are_told(sagemaker: Any, job_name: str) -> None:
    program = "import argparse; p = argparse.ArgumentParser(); p.add_argument('--eta', required=True); p.parse_args()"
    reason = fails(sagemaker, training_job_request(job_name, program))
    assert "error: the following arguments are required: --eta" in reason
    assert "exit code: 2" in reason.lower()


def test_segfault_is_told_as_signal(sagemaker: Any, job_name: str) -> None:
    reason = fails(sagemaker, training_job_request(job_name, "import ctypes; ctypes.string_at(0)"))
    assert "SIGSEGV" in reason


def test_exit_137_is_told_as_exit_code(sagemaker: Any, job_name: str) -> None:
    reason = fails(sagemaker, training_job_request(job_name, "raise SystemExit(137)"))
    assert "137" in reason


def test_out_of_memory_is_told_with_the_peak_and_the_limit(sagemaker: Any, job_name: str) -> None:
    program = "b = []\nwhile True: b.append(bytearray(64 << 20))"
    request = training_job_request(job_name, program)
    request["ResourceConfig"]["InstanceType"] = "ml.t3.medium"
    reason = fails(sagemaker, request)
    assert "memory" in reason.lower()
    assert re.search(r"\d+(\.\d+)? ?(MiB|GiB)", reason)


def test_stop_while_training_sends_sigterm_and_uploads_the_model(sagemaker: Any, s3: Any, job_name: str) -> None:
    program = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    open('/opt/ml/model/saved', 'w').write('half'); print('asked to stop'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop); print('ready'); time.sleep(600)\n"
    )
    sagemaker.create_training_job(**training_job_request(job_name, program))
    wait_for_log(sagemaker, job_name)
    sagemaker.stop_training_job(TrainingJobName=job_name)
    job = finished(sagemaker, job_name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "Stopped"
    key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://sagemaker-journeys/")
    assert s3.head_object(Bucket="sagemaker-journeys", Key=key)["ContentLength"] > 0


def wait_for_log(sagemaker: Any, job_name: str) -> None:
    def training() -> bool:
        return bool(sagemaker.describe_training_job(TrainingJobName=job_name)["SecondaryStatus"] == "Training")

    eventually(training, seconds=120, what=f"{job_name} training")


def test_max_runtime_stops_the_job(sagemaker: Any, job_name: str) -> None:
    request = training_job_request(
        job_name, "import time; time.sleep(600)", StoppingCondition={"MaxRuntimeInSeconds": 2}
    )
    sagemaker.create_training_job(**request)
    job = finished(sagemaker, job_name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_name_of_3000_characters_is_refused_with_the_constraint(sagemaker: Any) -> None:
    code, message = refused(sagemaker.create_training_job, **training_job_request("x" * 3000))
    assert code == "ValidationException"
    assert "Member must have length less than or equal to 63" in message


def test_two_creates_of_one_name_at_once_make_one_job(platform: RunningPlatform, job_name: str) -> None:
    outcomes: list[str] = []
    clients = [platform.client("sagemaker") for _ in range(4)]
    barrier = threading.Barrier(len(clients))

    def create(client: Any) -> None:
        barrier.wait()
        try:
            client.create_training_job(**training_job_request(job_name, "print('once')"))
            outcomes.append("created")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=create, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ResourceInUse"] * 3 + ["created"]
    finished(clients[0], job_name)


def test_role_that_does_not_exist_is_refused(sagemaker: Any, job_name: str) -> None:
    role = ROLE.replace("SageMakerRole", "Nobody")
    code, message = refused(sagemaker.create_training_job, **training_job_request(job_name, RoleArn=role))
    assert code == "ValidationException"
    assert role in message


def test_wrong_signature_is_refused_as_aws_does(platform: RunningPlatform) -> None:
    sts = platform.client("sts")
    sts._request_signer._credentials.secret_key = "wrong"
    code, _ = refused(sts.get_caller_identity)
    assert code == "SignatureDoesNotMatch"
    sagemaker = platform.client("sagemaker")
    sagemaker._request_signer._credentials.secret_key = "wrong"
    code, _ = refused(sagemaker.list_training_jobs)
    assert code == "InvalidSignatureException"


def test_expired_presigned_url_is_refused(s3: Any) -> None:
    s3.put_object(Bucket="sagemaker-journeys", Key="presigned", Body=b"x")
    url = s3.generate_presigned_url("get_object", {"Bucket": "sagemaker-journeys", "Key": "presigned"}, ExpiresIn=-5)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    assert caught.value.code == 403
    assert b"Request has expired" in caught.value.read()
    caught.value.close()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"this is not JSON", "SerializationException"),
        (b'{"TrainingJobName": 7}', "SerializationException"),
        (b"[]", "SerializationException"),
        (b'{"TrainingJobName": "\xff"}', "SerializationException"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_serialization_exception(
    platform: RunningPlatform, body: bytes, code: str
) -> None:
    answer = signed_post(platform, "SageMaker.DescribeTrainingJob", body)
    assert answer["__type"].endswith(code)


def test_an_unknown_operation_is_an_aws_shaped_error(platform: RunningPlatform) -> None:
    answer = signed_post(platform, "SageMaker.MakeCoffee", b"{}")
    assert answer["__type"].endswith("UnknownOperationException")


def test_an_operation_that_is_not_implemented_says_so(sagemaker: Any) -> None:
    code, message = refused(sagemaker.list_pipelines)
    assert code == "UnknownOperationException"
    assert "sagemaker:ListPipelines" in message


def signed_post(platform: RunningPlatform, target: str, body: bytes) -> dict[str, Any]:
    """POST a body that no client would send, correctly signed; the error's JSON."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    client = platform.client("sagemaker")
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", platform.endpoint_url + "/", headers=headers, data=body)
    SigV4Auth(client._request_signer._credentials, "sagemaker", "us-east-1").add_auth(request)
    prepared = urllib.request.Request(platform.endpoint_url + "/", data=body, headers=dict(request.headers))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(prepared)
    answer: dict[str, Any] = json.loads(caught.value.read())
    assert caught.value.headers["x-amzn-requestid"]
    caught.value.close()
    return answer
