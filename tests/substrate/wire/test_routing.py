"""Which service and operation a request on the one URL is for."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.engine import Engine
from sagebrush.substrate.wire.http import HttpRequest
from tests.substrate.wire.services import engine

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def scoped(service: str, **headers: str) -> dict[str, str]:
    credential = f"AKIDEXAMPLE/20260102/us-east-1/{service}/aws4_request"
    signature = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
    return {
        "host": "127.0.0.1:4600",
        "authorization": signature,
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }


def routed(
    method: str, path: str, query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[str, str, dict[str, Any]]:
    request = HttpRequest(method, path, query, headers if headers is not None else {"host": "127.0.0.1:4600"}, body)
    found = engine().route(request)
    return found.service, found.operation, dict(found.located.labels)


def s3(method: str, path: str, query: str = "", **headers: str) -> tuple[str, dict[str, Any]]:
    service, operation, labels = routed(method, path, query, scoped("s3", **headers))
    assert service == "s3"
    return operation, labels


def test_the_target_header_decides_before_the_scope() -> None:
    headers = scoped("s3", x_amz_target="SageMaker.ListTrainingJobs")
    assert routed("POST", "/", "", headers) == ("sagemaker", "ListTrainingJobs", {})


def test_services_that_share_a_signing_name_are_told_apart_by_path() -> None:
    for method, path, service, operation in [
        ("POST", "/endpoints/e/invocations", "sagemaker-runtime", "InvokeEndpoint"),
        ("PUT", "/FeatureGroup/g", "sagemaker-featurestore-runtime", "PutRecord"),
        ("GET", "/FeatureGroup/g", "sagemaker-featurestore-runtime", "GetRecord"),
        ("PUT", "/BatchPutMetrics", "sagemaker-metrics", "BatchPutMetrics"),
        ("GET", "/human-loops", "sagemaker-a2i-runtime", "ListHumanLoops"),
    ]:
        assert routed(method, path, "", scoped("sagemaker"))[:2] == (service, operation)


def test_query_actions_are_found_in_body_and_in_query_string_signed_or_not() -> None:
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    expected = ("sts", "GetCallerIdentity", {})
    assert routed("POST", "/", "", scoped("sts", content_type=FORM), body) == expected
    assert routed("POST", "/", "", {"host": "h", "content-type": FORM}, body) == expected
    presigned = body.decode() + "&X-Amz-Credential=AKID%2F20260102%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Signature=0"
    assert routed("GET", "/", presigned) == expected


def test_a_presigned_request_is_routed_by_its_credential_scope() -> None:
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260102%2Fus-east-1%2Fsagemaker%2Faws4_request"
    assert routed("GET", "/FeatureGroup/g", query)[:2] == ("sagemaker-featurestore-runtime", "GetRecord")
    assert routed("GET", "/FeatureGroup/g", "AWSAccessKeyId=AKID&Expires=1&Signature=x")[:2] == ("s3", "GetObject")


def test_what_nobody_else_claims_is_s3() -> None:
    assert routed("GET", "/") == ("s3", "ListBuckets", {})
    assert routed("GET", "/bucket/key") == ("s3", "GetObject", {"Bucket": "bucket", "Key": "key"})


def test_required_headers_and_query_fields_take_part() -> None:
    assert s3("PUT", "/b/k")[0] == "PutObject"
    assert s3("PUT", "/b/k", x_amz_copy_source="a/b")[0] == "CopyObject"
    assert s3("PUT", "/b/k", "partNumber=1&uploadId=u")[0] == "UploadPart"
    assert s3("PUT", "/b/k", "partNumber=1&uploadId=u", x_amz_copy_source="a/b")[0] == "UploadPartCopy"
    assert s3("GET", "/b/k", "uploadId=u")[0] == "ListParts"
    assert s3("DELETE", "/b/k", "uploadId=u")[0] == "AbortMultipartUpload"
    assert s3("POST", "/b/k", "uploads")[0] == "CreateMultipartUpload"
    assert s3("POST", "/b/k", "uploadId=u")[0] == "CompleteMultipartUpload"
    assert s3("GET", "/b", "list-type=2&prefix=p")[0] == "ListObjectsV2"
    assert s3("GET", "/b", "prefix=p&delimiter=/")[0] == "ListObjects"
    assert s3("GET", "/b", "versions")[0] == "ListObjectVersions"
    assert s3("GET", "/b", "analytics")[0] == "ListBucketAnalyticsConfigurations"
    assert s3("GET", "/b", "analytics&id=i")[0] == "GetBucketAnalyticsConfiguration"
    assert s3("GET", "/b", "lifecycle")[0] == "GetBucketLifecycleConfiguration"


def test_half_an_upload_part_is_never_taken_for_a_put_of_the_object() -> None:
    request = HttpRequest("PUT", "/b/k", "uploadId=u", scoped("s3"), b"data")
    found = engine().route(request)
    assert found.operation == "UploadPart"
    with pytest.raises(CallerError) as caught:
        found.parse(request)
    assert caught.value.members["ArgumentName"] == "partNumber"


@pytest.mark.parametrize(
    ("path", "bucket", "key"),
    [
        ("/b/a//b", "b", "a//b"),
        ("/b/a/", "b", "a/"),
        ("/b//a", "b", "/a"),
        ("/b//", "b", "/"),
        ("/b/../x/./y", "b", "../x/./y"),
        ("/b/a%2Fb%20c%C3%BC+%3F%23", "b", "a/b cü+?#"),
    ],
)
def test_keys_are_taken_as_they_are(path: str, bucket: str, key: str) -> None:
    assert s3("GET", path) == ("GetObject", {"Bucket": bucket, "Key": key})


def test_a_slash_behind_the_bucket_is_still_the_bucket() -> None:
    assert s3("GET", "/b/", "list-type=2") == ("ListObjectsV2", {"Bucket": "b"})
    assert s3("PUT", "/b/") == ("CreateBucket", {"Bucket": "b"})


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("my-bucket.localhost:4600", "my-bucket"),
        ("my.dotted.bucket.localhost", "my.dotted.bucket"),
        ("my-bucket.s3.localhost:4600", "my-bucket"),
        ("my-bucket.s3.us-east-1.amazonaws.com", "my-bucket"),
        ("my-bucket.s3.amazonaws.com", "my-bucket"),
    ],
)
def test_the_bucket_may_stand_in_the_host_name(host: str, bucket: str) -> None:
    assert s3("GET", "/a//b", host=host) == ("GetObject", {"Bucket": bucket, "Key": "a//b"})
    assert s3("GET", "/", "list-type=2", host=host) == ("ListObjectsV2", {"Bucket": bucket})


@pytest.mark.parametrize(
    "host", ["localhost:4600", "s3.localhost", "127.0.0.1:4600", "[::1]:4600", "s3.us-east-1.amazonaws.com"]
)
def test_other_hosts_mean_path_style(host: str) -> None:
    assert s3("GET", "/b/k", host=host) == ("GetObject", {"Bucket": "b", "Key": "k"})


def test_the_hosts_of_virtual_buckets_are_configurable() -> None:
    own = Engine(["s3"], s3_hosts=("storage.example.org",))
    request = HttpRequest("GET", "/k", "", scoped("s3", host="b.storage.example.org"))
    assert own.route(request).parse(request) == {"Bucket": "b", "Key": "k"}


@pytest.mark.parametrize(
    ("request_", "code", "status", "content_type"),
    [
        (HttpRequest("POST", "/", "", {"x-amz-target": "SageMaker.Fly", "content-type": "application/x-amz-json-1.1"}),
         "UnknownOperationException", 404, "application/x-amz-json-1.1"),
        (HttpRequest("POST", "/", "", {"x-amz-target": "AmazonSQS.Fly"}),
         "UnknownOperationException", 404, "application/x-amz-json-1.0"),
        (HttpRequest("POST", "/", "", {"x-amz-target": "Dynamo.Put", "content-type": "application/x-amz-json-1.0"}),
         "UnknownOperationException", 404, "application/x-amz-json-1.0"),
        (HttpRequest("GET", "/no/such/path", "", scoped("sagemaker")),
         "UnknownOperationException", 404, "application/json"),
        (HttpRequest("POST", "/", "", scoped("iam", content_type=FORM), b"Action=Fly&Version=2010-05-08"),
         "InvalidAction", 400, "text/xml"),
        (HttpRequest("PATCH", "/b/k", "", scoped("s3")), "MethodNotAllowed", 405, "application/xml"),
        (HttpRequest("GET", "/b/%ff", "", scoped("s3")), "InvalidURI", 400, "application/xml"),
    ],
)  # fmt: skip
def test_what_cannot_be_routed_is_refused_in_the_clients_own_protocol(
    request_: HttpRequest, code: str, status: int, content_type: str
) -> None:
    with pytest.raises(CallerError) as caught:
        engine().route(request_)
    response = engine().serialize_error(None, None, caught.value, "the-id", request=request_)
    assert (caught.value.code, response.status, response.headers["content-type"]) == (code, status, content_type)
    assert code.encode() in response.body or code in response.headers.values()


def test_models_are_loaded_when_their_first_request_comes_and_not_before() -> None:
    fresh = Engine(["sagemaker", "iam"])
    assert "model" not in vars(fresh.service("sagemaker"))
    fresh.route(HttpRequest("POST", "/", "", {"x-amz-target": "SageMaker.ListModels"}))
    assert "model" in vars(fresh.service("sagemaker"))
    assert "model" not in vars(fresh.service("iam"))


def test_compressed_bodies_are_read_and_bombs_are_not() -> None:
    body = json.dumps({"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1.0}]}).encode()
    headers = {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData", "content-encoding": "gzip"}
    request = HttpRequest("POST", "/", "", headers, gzip.compress(body))
    assert engine().route(request).parse(request) == json.loads(body)
    for broken in (body, gzip.compress(b" " * (17 * 1024 * 1024)), gzip.compress(body)[:-9]):
        request = HttpRequest("POST", "/", "", headers, broken)
        with pytest.raises(CallerError, match="SerializationException"):
            engine().route(request).parse(request)
