"""The one URL by https: everything goes over it, and other machines get nothing in the clear."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, SSLError

from tests.journeys.running import (
    CLIENTS_V2,
    ENVIRONMENTS,
    SAGEBRUSH,
    RunningPlatform,
    discard,
    finished,
    start_platform,
    training_job_request,
)
from tests.journeys.serving import Endpoints, times

pytestmark = pytest.mark.journey
PROGRAM = Path(__file__).with_name("programs") / "over_a_network.py"


@pytest.fixture(scope="module")
def secured() -> Iterator[RunningPlatform]:
    """A platform with a certificate of its own."""
    running = start_platform(SAGEBRUSH_TLS="own", SAGEBRUSH_CAPACITY_CPUS="8")
    running.client("s3").create_bucket(Bucket="sagemaker-journeys")
    yield running
    discard(running)


def by_https(platform: RunningPlatform, service: str, **config: Any) -> Any:
    environ = platform.environ()
    return boto3.Session().client(
        service,
        endpoint_url=f"https://localhost:{platform.port}",
        verify=str(platform.data_dir / "keys" / "server-ca.pem"),
        region_name="us-east-1",
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environ["AWS_SESSION_TOKEN"],
        config=Config(retries={"max_attempts": 1}, proxies={}, **config),
    )


def test_every_service_is_there_by_https(secured: RunningPlatform) -> None:
    s3, sagemaker = by_https(secured, "s3"), by_https(secured, "sagemaker")
    body = os.urandom(9_000_000)
    s3.put_object(Bucket="sagemaker-journeys", Key="big", Body=body)
    read = s3.get_object(Bucket="sagemaker-journeys", Key="big")["Body"].read()
    assert hashlib.md5(read).hexdigest() == hashlib.md5(body).hexdigest()
    assert by_https(secured, "sts").get_caller_identity()["Account"] == "123456789012"
    sagemaker.create_training_job(**training_job_request("by-https", "print('hello')"))
    job = finished(sagemaker, "by-https")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket="sagemaker-journeys", Key="nothing")
    assert refused.value.response["Error"]["Code"] == "NoSuchKey"


def test_predictions_go_by_https_too(secured: RunningPlatform) -> None:
    endpoints = Endpoints(secured)
    try:
        assert endpoints.deploy("times", times(2))["EndpointStatus"] == "InService"
        runtime = by_https(secured, "sagemaker-runtime")
        for _ in range(3):
            answer = runtime.invoke_endpoint(EndpointName="times", Body=b"[1, 2]", ContentType="application/json")
            assert json.loads(answer["Body"].read()) == [2.0, 4.0]
    finally:
        endpoints.clear()


def test_the_aws_cli_and_others_need_only_the_address_and_the_authority(secured: RunningPlatform) -> None:
    environ = secured.environ() | {
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{secured.port}",
        "AWS_CA_BUNDLE": str(secured.data_dir / "keys" / "server-ca.pem"),
    }
    environ = {name: value for name, value in environ.items() if "proxy" not in name.lower()}
    aws = str(CLIENTS_V2 / "bin" / "aws")
    listed = subprocess.run([aws, "s3", "ls"], env=environ, capture_output=True, text=True, check=True)
    assert "sagemaker-journeys" in listed.stdout


def test_a_client_that_trusts_somebody_else_does_not_connect(secured: RunningPlatform) -> None:
    session = boto3.Session()
    stranger = session.client(
        "s3",
        endpoint_url=f"https://localhost:{secured.port}",
        verify=str(secured.data_dir / "keys" / "ca.pem"),
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )
    with pytest.raises(SSLError):
        stranger.list_buckets()


def test_other_machines_get_nothing_in_the_clear() -> None:
    unshare = ["unshare", "--net", sys.executable, str(PROGRAM), str(SAGEBRUSH), str(ENVIRONMENTS)]
    if subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no network namespace can be made here (unshare --net failed)")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SAGEBRUSH_"))}
    ran = subprocess.run(unshare, env=environ, capture_output=True, text=True, check=False, timeout=170)
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout.partition("RESULT ")[2])
    assert "elsewhere  https://10.77.0.1:4600" in answer["said"]
    assert answer["clear, from elsewhere"]["status"] == 400
    assert "https" in answer["clear, from elsewhere"]["body"]
    assert answer["clear, from here"]["status"] == 403
    assert answer["tls, from elsewhere"]["status"] == 403
    assert answer["tls of STS's authority"] == {"error": "SSLCertVerificationError"}
