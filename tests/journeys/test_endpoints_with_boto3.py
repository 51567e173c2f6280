"""Endpoints through boto3 and the AWS CLI: deployed, invoked, changed under load, deleted."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EventStreamError

from tests.journeys.running import RunningPlatform, eventually
from tests.journeys.serving import BUCKET, TIMES, XGBOOST_IMAGE, Endpoints, archive_of, handlers, times

pytestmark = pytest.mark.journey

JSON = "application/json"


@pytest.fixture
def name() -> str:
    return f"endpoint-{uuid.uuid4().hex[:12]}"


def csv(rows: list[list[float]]) -> str:
    return "\n".join(",".join(map(repr, row)) for row in rows)


def test_an_xgboost_artefact_serves_without_user_code_and_equals_xgboost(
    endpoints: Endpoints, models: dict[str, Any], name: str
) -> None:
    described = endpoints.deploy(name, models["xgboost_archive"], image=XGBOOST_IMAGE)
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    answer = endpoints.runtime.invoke_endpoint(
        EndpointName=name, Body=csv(models["rows"]), ContentType="text/csv", Accept="text/csv"
    )
    assert answer["ContentType"].startswith("text/csv")
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    predictions = [float(x) for x in answer["Body"].read().decode().replace("\n", ",").strip(",").split(",")]
    assert predictions == pytest.approx(models["xgboost"], rel=1e-6)


def test_a_scikit_learn_artefact_serves_without_user_code(
    endpoints: Endpoints, models: dict[str, Any], name: str
) -> None:
    described = endpoints.deploy(name, models["sklearn_archive"])
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    assert endpoints.invoke(name, models["rows"]) == models["sklearn"]


def test_describe_shows_what_the_sdk_reads(endpoints: Endpoints, name: str) -> None:
    described = endpoints.deploy(name, times(2))
    assert described["EndpointArn"].endswith(f":endpoint/{name}")
    assert described["EndpointConfigName"] == name
    (variant,) = described["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentWeight"], variant["DesiredWeight"]) == ("AllTraffic", 1.0, 1.0)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 1)
    assert variant["DeployedImages"][0]["SpecifiedImage"].endswith("sagemaker-scikit-learn:1.2-1-cpu-py3")
    assert "FailureReason" not in described
    assert endpoints.invoke(name, [1, 2]) == [2, 4]
    endpoints.delete(name)
    with pytest.raises(endpoints.sagemaker.exceptions.ClientError, match=f"Could not find endpoint.*{name}"):
        endpoints.sagemaker.describe_endpoint(EndpointName=name)
    with pytest.raises(endpoints.runtime.exceptions.ValidationError, match=f"Endpoint {name} of account"):
        endpoints.invoke(name, [1])


def test_variants_share_the_traffic_by_weight_and_can_be_named(endpoints: Endpoints, name: str) -> None:
    endpoints.model(f"{name}-a", times(1))
    endpoints.model(f"{name}-b", times(10))
    endpoints.config(
        name,
        {"VariantName": "a", "ModelName": f"{name}-a", "InitialVariantWeight": 3.0},
        {"VariantName": "b", "ModelName": f"{name}-b", "InitialInstanceCount": 2},
    )
    endpoints.create(name)
    assert endpoints.settled(name)["EndpointStatus"] == "InService"
    seen = Counter(endpoints.invoke(name, [1])[0] for _ in range(200))
    assert set(seen) == {1, 10}
    assert 110 <= seen[1] <= 190  # 150 expected; this far off happens once in a million runs
    assert {endpoints.invoke(name, [1], TargetVariant="b")[0] for _ in range(10)} == {10}
    endpoints.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "a", "DesiredWeight": 0.0},
            {"VariantName": "b", "DesiredWeight": 1.0, "DesiredInstanceCount": 1},
        ],
    )
    described = endpoints.settled(name)
    counts = {v["VariantName"]: v["CurrentInstanceCount"] for v in described["ProductionVariants"]}
    assert counts == {"a": 1, "b": 1}
    assert {endpoints.invoke(name, [1])[0] for _ in range(50)} == {10}


class Load:
    """Requests one after the other from a few threads until told to stop."""

    def __init__(self, endpoints: Endpoints, name: str, threads: int = 4):
        self.answers: Counter[Any] = Counter()
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(endpoints, name)) for _ in range(threads)]

    def _run(self, endpoints: Endpoints, name: str) -> None:
        runtime = endpoints.platform.client("sagemaker-runtime", retries={"max_attempts": 0})
        while not self._stop.is_set():
            try:
                answer = runtime.invoke_endpoint(EndpointName=name, Body="[1]", ContentType="application/json")
                self.answers[json.loads(answer["Body"].read())[0]] += 1
            except Exception as error:
                self.errors.append(str(error))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        eventually(lambda: self.answers, what="a first answer")
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_an_update_under_load_fails_no_request(endpoints: Endpoints, name: str) -> None:
    endpoints.deploy(name, times(1))
    endpoints.model(f"{name}-2", times(2))
    endpoints.config(f"{name}-2", {"ModelName": f"{name}-2"})
    with Load(endpoints, name) as load:
        endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")
        described = endpoints.settled(name)
        eventually(lambda: load.answers[2] > 20, what="answers of the new model")
    assert described["EndpointConfigName"] == f"{name}-2"
    assert load.errors == []
    assert set(load.answers) == {1, 2}
    assert endpoints.invoke(name, [1]) == [2]


def test_a_failed_update_leaves_the_old_model_serving(endpoints: Endpoints, name: str) -> None:
    endpoints.deploy(name, times(1))
    endpoints.model(f"{name}-2", handlers("def model_fn(model_dir):\n    raise RuntimeError('not today')\n"))
    endpoints.config(f"{name}-2", {"ModelName": f"{name}-2"})
    with Load(endpoints, name, threads=1) as load:
        endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")
        described = endpoints.settled(name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", name)
    assert "not today" in described["FailureReason"]
    assert load.errors == []
    assert set(load.answers) == {1}


def test_deleting_the_configuration_and_the_model_in_use_harms_nothing(endpoints: Endpoints, name: str) -> None:
    endpoints.deploy(name, times(3))
    endpoints.sagemaker.delete_endpoint_config(EndpointConfigName=name)
    endpoints.sagemaker.delete_model(ModelName=name)
    assert endpoints.invoke(name, [2]) == [6]
    assert endpoints.settled(name)["EndpointConfigName"] == name


def test_what_was_captured_lies_in_s3_as_documented(endpoints: Endpoints, name: str) -> None:
    endpoints.model(name, times(2))
    endpoints.config(
        name,
        {"ModelName": name},
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        },
    )
    endpoints.create(name)
    assert endpoints.settled(name)["DataCaptureConfig"]["CaptureStatus"] == "Started"
    for i in range(20):
        endpoints.invoke(name, [i], InferenceId=f"inference-{i}")
    prefix = f"captured/{name}/AllTraffic/"

    def records() -> list[dict[str, Any]]:
        listed = endpoints.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        lines = [
            line
            for entry in listed
            for line in endpoints.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read().splitlines()
        ]
        return [json.loads(line) for line in lines]

    eventually(lambda: len(records()) == 20, what="twenty captured records")
    found = {record["eventMetadata"]["inferenceId"]: record for record in records()}
    assert set(found) == {f"inference-{i}" for i in range(20)}
    record = found["inference-3"]
    assert record["eventVersion"] == "0"
    assert record["captureData"]["endpointInput"] == {
        "observedContentType": "application/json",
        "mode": "INPUT",
        "data": "[3]",
        "encoding": "JSON",
    }
    assert record["captureData"]["endpointOutput"]["data"] == "[6.0]"
    key = endpoints.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"][0]["Key"].removeprefix(prefix)
    assert datetime.strptime(key[:13], "%Y/%m/%d/%H")


def test_counts_latencies_and_logs_reach_cloudwatch(endpoints: Endpoints, platform: RunningPlatform, name: str) -> None:
    talkative = TIMES.replace("def predict_fn(data, model):", "def predict_fn(data, model):\n    print('asked', data)")
    endpoints.deploy(name, handlers(talkative, factor="2"))
    for _ in range(10):
        endpoints.invoke(name, [1])
    with pytest.raises(endpoints.runtime.exceptions.ModelError):
        endpoints.runtime.invoke_endpoint(EndpointName=name, Body="no json", ContentType="application/json")
    cloudwatch = platform.client("cloudwatch")

    def total(metric: str, statistic: str = "Sum") -> float:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "AllTraffic"}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=3600,
            Statistics=[statistic],
        )["Datapoints"]
        return sum(point[statistic] for point in points)

    eventually(lambda: total("Invocations") == 11, what="all invocations to be counted")
    assert total("ModelLatency", "SampleCount") == 11
    assert total("ModelLatency") > 0
    assert total("OverheadLatency", "SampleCount") == 11
    logs = platform.client("logs")

    def asked() -> int:
        events = logs.filter_log_events(
            logGroupName=f"/aws/sagemaker/Endpoints/{name}", logStreamNamePrefix="AllTraffic/"
        )["events"]
        return sum(event["message"] == "asked [1]" for event in events)

    eventually(lambda: asked() == 10, what="the lines of all ten predictions")


def test_several_workers_answer_at_once(endpoints: Endpoints, name: str) -> None:
    code = TIMES.replace("return [model * x for x in data]", "import os, time; time.sleep(0.1); return [os.getpid()]")
    endpoints.deploy(name, handlers(code, factor="1"), SAGEMAKER_MODEL_SERVER_WORKERS="3")
    with Load(endpoints, name, threads=6) as load:
        eventually(lambda: len(load.answers) == 3, what="all three workers to answer")
    assert load.errors == []


def test_a_model_brings_its_own_server(endpoints: Endpoints, name: str) -> None:
    """Any program that listens on 8080; ten at once, on the same port."""
    server = """#!/usr/bin/env python3
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, text):
        self.send_response(200); self.send_header("Content-Length", str(len(text))); self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(os.environ["SUFFIX"].encode() + body)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
    artefact = archive_of({"code/serve": server})
    suffixes = [f"n{number}" for number in range(10)]
    for suffix in suffixes:
        endpoints.model(f"{name}-{suffix}", artefact, SAGEMAKER_PROGRAM="serve", SUFFIX=suffix)
    endpoints.config(name, *({"VariantName": s, "ModelName": f"{name}-{s}"} for s in suffixes))
    endpoints.create(name)
    described = endpoints.settled(name)
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    for suffix in suffixes:
        answer = endpoints.runtime.invoke_endpoint(EndpointName=name, Body=b"-x", TargetVariant=suffix)
        assert answer["Body"].read() == f"{suffix}-x".encode()


YIELDING = """
import os, time
def model_fn(model_dir): return None
def input_fn(body, content_type): return body
def predict_fn(data, model): return data
def output_fn(prediction, accept):
    def tokens():
        yield "first of " + accept
        if prediction == "fail":
            raise ValueError("no more tokens")
        while prediction == "endless":
            time.sleep(0.01)
            yield "more"
        yield "last"
    return tokens(), "text/event-stream"
"""


def parts_of(answer: dict[str, Any]) -> list[bytes]:
    with contextlib.closing(answer["Body"]) as events:
        return [event["PayloadPart"]["Bytes"] for event in events]


def test_a_handler_that_yields_streams_to_boto3(endpoints: Endpoints, name: str) -> None:
    endpoints.deploy(name, handlers(YIELDING))
    stream = functools.partial(endpoints.runtime.invoke_endpoint_with_response_stream, EndpointName=name)
    answer = stream(Body=b"tell", Accept="text/csv")
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/event-stream", "AllTraffic")
    assert b"".join(parts_of(answer)) == b"first of text/csvlast"
    # The same handler answers InvokeEndpoint, whole.
    assert endpoints.runtime.invoke_endpoint(EndpointName=name, Body=b"tell")["Body"].read().endswith(b"last")
    with pytest.raises(
        EventStreamError, match=r"ValueError: no more tokens \(.*inference\.py:10 in tokens\)"
    ) as caught:
        parts_of(stream(Body=b"fail"))
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    # The one worker of a client that leaves in the middle is there for the next.
    endless = stream(Body=b"endless")["Body"]
    assert next(iter(endless))
    endless.close()
    assert b"".join(parts_of(stream(Body=b"tell"))).endswith(b"last")
    with pytest.raises(endpoints.runtime.exceptions.ValidationError, match=r"Endpoint no-such-one of account"):
        stream(EndpointName="no-such-one", Body=b"tell")


def test_a_server_of_the_models_own_streams_to_boto3(endpoints: Endpoints, name: str) -> None:
    server = """#!/usr/bin/env python3
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if body == b"plain":
            self.send_header("Content-Length", "5"); self.end_headers()
            self.wfile.write(b"plain")
            return
        self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
        for part in (b"one", b"two", b"three"):
            self.wfile.write(b"%x\\r\\n%b\\r\\n" % (len(part), part))
            if body == b"break":
                self.close_connection = True
                return
        self.wfile.write(b"0\\r\\n\\r\\n")
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
    endpoints.model(name, archive_of({"code/serve": server}), SAGEMAKER_PROGRAM="serve")
    endpoints.config(name, {"ModelName": name})
    endpoints.create(name)
    assert endpoints.settled(name)["EndpointStatus"] == "InService"
    stream = functools.partial(endpoints.runtime.invoke_endpoint_with_response_stream, EndpointName=name)
    assert b"".join(parts_of(stream(Body=b"chunks"))) == b"onetwothree"
    assert parts_of(stream(Body=b"plain")) == [b"plain"]
    with pytest.raises(EventStreamError, match="ModelStreamError"):
        parts_of(stream(Body=b"break"))


def test_a_policy_may_allow_predictions_and_not_streams(
    endpoints: Endpoints, platform: RunningPlatform, name: str
) -> None:
    endpoints.deploy(name, times(2))
    iam = platform.client("iam")
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"}
    iam.put_user_policy(
        UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=platform.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    assert json.loads(runtime.invoke_endpoint(EndpointName=name, Body="[1]", ContentType=JSON)["Body"].read()) == [2.0]
    with pytest.raises(runtime.exceptions.ClientError, match="sagemaker:InvokeEndpointWithResponseStream") as caught:
        runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body="[1]")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_model_has_the_credentials_of_its_role(endpoints: Endpoints, name: str) -> None:
    code = TIMES.replace(
        "return [model * x for x in data]", "import boto3; return [boto3.client('sts').get_caller_identity()['Arn']]"
    )
    endpoints.deploy(name, handlers(code, factor="1"))
    (arn,) = endpoints.invoke(name, [])
    assert arn.startswith("arn:aws:sts::123456789012:assumed-role/SageMakerRole/")
    assert "operator" not in arn


def test_the_cli_invokes(endpoints: Endpoints, platform: RunningPlatform, name: str, tmp_path: Path) -> None:
    endpoints.deploy(name, times(2))
    answer, body = tmp_path / "answer.json", tmp_path / "body.json"
    body.write_text("[21]")
    command = ["sagemaker-runtime", "invoke-endpoint", "--endpoint-name", name, "--content-type", "application/json"]
    result = platform.run_client("aws", *command, "--body", f"fileb://{body}", "--output", "json", str(answer))
    assert json.loads(result.stdout)["InvokedProductionVariant"] == "AllTraffic"
    assert json.loads(answer.read_text()) == [42.0]


def test_lists_filter_and_page(endpoints: Endpoints, name: str) -> None:
    for i in range(3):
        endpoints.model(f"{name}-{i}", times(i))
        endpoints.config(f"{name}-{i}", {"ModelName": f"{name}-{i}"})
    for operation, member, key in (
        ("list_models", "Models", "ModelName"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ):
        pages = endpoints.sagemaker.get_paginator(operation).paginate(
            NameContains=name, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
        )
        assert [entry[key] for page in pages for entry in page[member]] == [f"{name}-{i}" for i in range(3)]
    endpoints.create(name, f"{name}-1")
    endpoints.settled(name)
    listed = endpoints.sagemaker.list_endpoints(NameContains=name, StatusEquals="InService")["Endpoints"]
    assert [(e["EndpointName"], e["EndpointStatus"]) for e in listed] == [(name, "InService")]
    assert endpoints.sagemaker.list_endpoints(NameContains=name, StatusEquals="Failed")["Endpoints"] == []
