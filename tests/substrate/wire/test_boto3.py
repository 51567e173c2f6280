"""Unmodified boto3 clients against the engine: signed, routed, parsed, answered, understood. No socket in between."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import sigv4
from sagebrush.substrate.wire.http import HttpRequest, HttpResponse
from tests.substrate.wire.services import engine
from tests.substrate.wire.signing import ACCESS_KEY, ODD_KEYS, REGION, SECRET, TOKEN, lookup

Operation = Callable[[dict[str, Any]], dict[str, Any]]
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class Raw(io.BytesIO):
    """What urllib3 would give."""

    def stream(self, size: int = 65536, **_: Any) -> Any:
        while piece := self.read(size):
            yield piece


class Served:
    """Answers a client's requests with one function; keeps what was asked."""

    def __init__(self, operation: Operation):
        self._operation = operation
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        response = self.answer(received(request))
        return AWSResponse(request.url, response.status, response.headers, Raw(response.body))

    def answer(self, request: HttpRequest) -> HttpResponse:
        routed = None
        try:
            routed = engine().route(request)
            verified = sigv4.verify(request, lookup=lookup, now=datetime.now(UTC), service=routed.signing_name)
            assert verified.principal == f"principal of {TOKEN}"
            params = routed.parse(request)
            self.asked.append((routed.service, routed.operation, params))
            return engine().serialize(routed.service, routed.operation, self._operation(params), "the-id", routed)
        except CallerError as error:
            service, operation = (routed.service, routed.operation) if routed is not None else (None, None)
            return engine().serialize_error(service, operation, error, "the-id", routed, request)


def received(request: AWSPreparedRequest) -> HttpRequest:
    url = urlsplit(request.url)
    body = request.body.read() if hasattr(request.body, "read") else request.body or b""
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    headers["host"] = url.netloc
    return HttpRequest(request.method, url.path, url.query, headers, body.encode() if isinstance(body, str) else body)


def client(service: str, operation: Operation = lambda params: {}, **config: Any) -> tuple[Any, Served]:
    made = boto3.client(
        service,
        region_name=REGION,
        endpoint_url="http://127.0.0.1:4600",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET,
        aws_session_token=TOKEN,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )
    served = Served(operation)
    made.meta.events.register("before-send", served)
    return made, served


def test_sagemaker_takes_moments_and_gives_them_back() -> None:
    summary = {
        "TrainingJobName": "j",
        "TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/j",
        "CreationTime": MOMENT,
        "TrainingJobStatus": "InProgress",
    }
    sagemaker, served = client("sagemaker", lambda params: {"TrainingJobSummaries": [summary]})
    answer = sagemaker.list_training_jobs(CreationTimeAfter=MOMENT, MaxResults=7)
    assert answer["TrainingJobSummaries"] == [summary]
    assert answer["ResponseMetadata"]["RequestId"] == "the-id"
    expected = {"CreationTimeAfter": MOMENT, "MaxResults": 7}
    assert served.asked == [("sagemaker", "ListTrainingJobs", expected)]


def test_errors_arrive_as_the_clients_own_exceptions() -> None:
    def gone(params: dict[str, Any]) -> dict[str, Any]:
        raise CallerError("ResourceNotFound", "Could not find it")

    sagemaker, _ = client("sagemaker", gone)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Could not find it"):
        sagemaker.describe_pipeline(PipelineName="p")
    with pytest.raises(
        ClientError, match=r"ValidationException.*1 validation error detected: Value 'a_b' at 'pipelineName'"
    ):
        sagemaker.describe_pipeline(PipelineName="a_b")


def test_large_cloudwatch_calls_are_compressed_by_the_client_and_read() -> None:
    cloudwatch, served = client("cloudwatch")
    data = [{"MetricName": f"metric-{n}", "Timestamp": MOMENT, "Value": float(n)} for n in range(300)]
    cloudwatch.put_metric_data(Namespace="n", MetricData=data)
    assert served.asked == [("cloudwatch", "PutMetricData", {"Namespace": "n", "MetricData": data})]


def test_query_services_answer_in_xml() -> None:
    identity = {"UserId": "AIDA", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/u"}
    sts, _ = client("sts", lambda params: identity)
    answer = sts.get_caller_identity()
    assert {name: answer[name] for name in identity} == identity
    iam, served = client("iam")
    iam.tag_role(RoleName="r", Tags=[{"Key": "a", "Value": "ü"}, {"Key": "b", "Value": ""}])
    assert served.asked[0][2] == {"RoleName": "r", "Tags": [{"Key": "a", "Value": "ü"}, {"Key": "b", "Value": ""}]}


def test_services_of_one_signing_name_reach_their_own_operations() -> None:
    runtime, served = client("sagemaker-runtime", lambda params: {"Body": b"\x00\xff", "ContentType": "x/y"})
    answer = runtime.invoke_endpoint(EndpointName="e", Body=b"\xff\x00", ContentType="a/b")
    assert (answer["Body"].read(), answer["ContentType"]) == (b"\x00\xff", "x/y")
    assert served.asked[0][2] == {"EndpointName": "e", "Body": b"\xff\x00", "ContentType": "a/b"}
    store, served = client("sagemaker-featurestore-runtime")
    store.put_record(FeatureGroupName="g", Record=[{"FeatureName": "f", "ValueAsString": "1"}])
    assert served.asked[0][:2] == ("sagemaker-featurestore-runtime", "PutRecord")


@pytest.mark.parametrize("key", ODD_KEYS)
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_s3_keys_arrive_as_they_were_named(key: str, style: str) -> None:
    s3, served = client("s3", s3={"addressing_style": style})
    if style == "virtual":
        s3.meta.events.register_last("before-sign.s3", _to_localhost)
    s3.put_object(Bucket="bucket", Key=key, Body=b"data", Metadata={"a": "b"})
    service, operation, params = served.asked[0]
    assert (service, operation) == ("s3", "PutObject")
    assert {name: params[name] for name in ("Bucket", "Key", "Body", "Metadata")} == {
        "Bucket": "bucket",
        "Key": key,
        "Body": b"data",
        "Metadata": {"a": "b"},
    }


def _to_localhost(request: Any, **_: Any) -> None:
    """An IP address has no virtual hosts, so botocore keeps the path; move the bucket as it does with a name."""
    request.url = request.url.replace("http://127.0.0.1:4600/bucket/", "http://bucket.localhost:4600/")


@pytest.mark.parametrize("version", [None, "s3v4", "s3"])
@pytest.mark.parametrize("key", ODD_KEYS)
def test_presigned_urls_are_accepted_in_every_version(version: str | None, key: str) -> None:
    s3, served = client("s3", signature_version=version)
    for method, name in [("get_object", "GET"), ("put_object", "PUT")]:
        url = urlsplit(s3.generate_presigned_url(method, Params={"Bucket": "bucket", "Key": key}, ExpiresIn=60))
        response = served.answer(HttpRequest(name, url.path, url.query, {"host": url.netloc}))
        assert response.status == 200, response.body
    assert [params["Key"] for _, _, params in served.asked] == [key, key]


def test_s3_lists_and_deletes() -> None:
    contents = [{"Key": "a<&>b", "LastModified": MOMENT, "ETag": '"e"', "Size": 3, "StorageClass": "STANDARD"}]
    s3, served = client("s3", lambda params: {"Contents": contents, "KeyCount": 1, "IsTruncated": False})
    assert s3.list_objects_v2(Bucket="bucket", Prefix="a b/ü+")["Contents"] == contents
    assert served.asked[0][2]["Prefix"] == "a b/ü+"
    s3, served = client("s3", lambda params: {"Deleted": [{"Key": "k"}]})
    assert s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "k"}]})["Deleted"] == [{"Key": "k"}]
    assert served.asked[0][2]["Delete"] == {"Objects": [{"Key": "k"}]}
    s3, _ = client("s3", lambda params: {"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket="bucket")["LocationConstraint"] == "eu-west-1"
    s3, _ = client("s3")
    assert s3.get_bucket_location(Bucket="bucket")["LocationConstraint"] is None


def test_a_wrong_secret_is_told_in_each_services_words() -> None:
    for service, call, code in [
        ("sagemaker", "list_models", "InvalidSignatureException"),
        ("iam", "list_roles", "SignatureDoesNotMatch"),
        ("s3", "list_buckets", "SignatureDoesNotMatch"),
        ("scheduler", "list_schedules", "InvalidSignatureException"),
    ]:
        made, _ = client(service)
        made._request_signer._credentials.secret_key = "wrong"
        with pytest.raises(ClientError) as caught:
            getattr(made, call)()
        assert caught.value.response["Error"]["Code"] == code
