"""What goes wrong with endpoints, and what the client is told: each through boto3 against a whole platform."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.journeys.running import ROLE, RunningPlatform, eventually
from tests.journeys.serving import BUCKET, SKLEARN_IMAGE, TIMES, Endpoints, archive_of, handlers, times

pytestmark = pytest.mark.journey

#: A handler for every misbehaviour, chosen by the request.
UNRULY = """
import json, os, signal, time
ballast = []
def model_fn(model_dir):
    return None
def input_fn(body, content_type):
    if content_type != "application/json":
        raise ValueError("unsupported content type " + content_type)
    return json.loads(body)
def predict_fn(data, model):
    what = data["do"]
    if what == "raise":
        raise KeyError("no such feature")
    if what == "hang":
        time.sleep(3600)
    if what == "nonsense":
        return {1, 2}
    if what == "leak":
        while True:
            ballast.append(b"x" * (64 << 20))
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "segfault":
        import ctypes; ctypes.string_at(0)
    if what == "sleep":
        time.sleep(data["seconds"])
    return {"pid": os.getpid(), "said": data.get("say")}
"""


@pytest.fixture(scope="module")
def unruly(platform: RunningPlatform) -> Iterator[tuple[Endpoints, str]]:
    """One endpoint with one worker that does what it is told; each test leaves it serving."""
    made = Endpoints(platform)
    name = f"unruly-{uuid.uuid4().hex[:8]}"
    described = made.deploy(
        name, handlers(UNRULY), SAGEMAKER_MODEL_SERVER_WORKERS="1", SAGEMAKER_MODEL_SERVER_TIMEOUT="4"
    )
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    yield made, name
    made.clear()


@pytest.fixture
def name() -> str:
    return f"endpoint-{uuid.uuid4().hex[:12]}"


def refused(call: Any, *arguments: Any, **members: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **members)
    return caught.value


def model_error(endpoints: Endpoints, name: str, **data: Any) -> dict[str, Any]:
    error = refused(endpoints.invoke, name, data)
    response: dict[str, Any] = error.response
    assert response["Error"]["Code"] == "ModelError", response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    return response


def still_serves(endpoints: Endpoints, name: str) -> None:
    assert endpoints.invoke(name, {"do": "answer", "say": "well"})["said"] == "well"


# -- before anything runs ---------------------------------------------------------------------------------------------


def test_names_that_are_not_there_are_told(endpoints: Endpoints, name: str) -> None:
    sagemaker = endpoints.sagemaker
    for call, members, text in (
        (sagemaker.describe_model, {"ModelName": name}, "Could not find model"),
        (sagemaker.delete_model, {"ModelName": name}, "Could not find model"),
        (sagemaker.describe_endpoint_config, {"EndpointConfigName": name}, "Could not find endpoint configuration"),
        (sagemaker.describe_endpoint, {"EndpointName": name}, "Could not find endpoint"),
        (sagemaker.delete_endpoint, {"EndpointName": name}, "Could not find endpoint"),
        (
            sagemaker.create_endpoint,
            {"EndpointName": name, "EndpointConfigName": name},
            "Could not find endpoint configuration",
        ),
    ):
        error = refused(call, **members)
        assert error.response["Error"]["Code"] == "ValidationException"
        assert text in error.response["Error"]["Message"]


def test_models_that_cannot_be_are_refused(endpoints: Endpoints, name: str) -> None:
    def create(**members: Any) -> str:
        request = {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": SKLEARN_IMAGE}} | members
        error = refused(endpoints.sagemaker.create_model, **request)
        assert error.response["Error"]["Code"] == "ValidationException"
        return str(error.response["Error"]["Message"])

    missing = f"s3://{BUCKET}/nothing/model.tar.gz"
    assert missing in create(PrimaryContainer={"Image": SKLEARN_IMAGE, "ModelDataUrl": missing})
    assert "unknown-image" in create(PrimaryContainer={"Image": "unknown-image:1"})
    assert "NoSuchRole" in create(ExecutionRoleArn="arn:aws:iam::123456789012:role/NoSuchRole")
    endpoints.model(name, times(1))
    again = create()
    assert "Cannot create already existing model" in again


def test_a_variant_of_an_unknown_model_or_type_is_refused(endpoints: Endpoints, name: str) -> None:
    assert "Could not find model" in str(refused(endpoints.config, name, {"ModelName": name}))
    endpoints.model(name, times(1))
    assert "ml.made-up.large" in str(
        refused(endpoints.config, name, {"ModelName": name, "InstanceType": "ml.made-up.large"})
    )


# -- models that cannot start -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "files", "told"),
    [
        ("no model_fn and nothing to load", {"code/inference.py": "x = 1", "notes": "n"}, "model_fn"),
        ("model_fn raises", {"code/inference.py": "def model_fn(d):\n    raise OSError('weights!')\n"}, "weights!"),
        ("the module does not parse", {"code/inference.py": "def model_fn(d:\n"}, "inference.py"),
        ("an archive that escapes", {"../outside": "x", "code/inference.py": TIMES, "factor": "1"}, "outside"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and " " in value else "",
)
def test_a_model_that_cannot_start_fails_the_endpoint_with_the_reason(
    endpoints: Endpoints, name: str, what: str, files: dict[str, str], told: str
) -> None:
    described = endpoints.deploy(name, archive_of(files))
    assert described["EndpointStatus"] == "Failed", what
    assert "did not pass the ping health check" in described["FailureReason"]
    assert told in described["FailureReason"]
    error = refused(endpoints.invoke, name, [1])
    assert error.response["Error"]["Code"] == "ValidationError"


def test_data_that_is_no_archive_fails_the_endpoint_with_the_reason(endpoints: Endpoints, name: str) -> None:
    described = endpoints.deploy(name, b"this is not a tar file")
    assert described["EndpointStatus"] == "Failed"
    assert "model.tar.gz" in described["FailureReason"]


def test_an_archive_that_unpacks_to_too_much_fails_the_endpoint(name: str) -> None:
    from tests.journeys.running import discard, start_platform

    small = start_platform(SAGEBRUSH_MODEL_MAX_GIB="0.01")
    try:
        small.client("s3").create_bucket(Bucket=BUCKET)
        endpoints = Endpoints(small)
        bomb = archive_of({"zeros": bytes(64 << 20), "code/inference.py": TIMES, "factor": "1"})
        assert len(bomb) < 1 << 20
        described = endpoints.deploy(name, bomb)
        assert described["EndpointStatus"] == "Failed"
        assert "unpack" in described["FailureReason"]
    finally:
        discard(small)


# -- requests that fail -----------------------------------------------------------------------------------------------


def test_a_handler_that_raises_is_a_model_error_with_its_text(unruly: tuple[Endpoints, str]) -> None:
    endpoints, name = unruly
    response = model_error(endpoints, name, do="raise")
    assert response["OriginalStatusCode"] == 500
    assert "no such feature" in response["Error"]["Message"]
    assert "Received server error (500) from primary" in response["Error"]["Message"]
    assert f"/aws/sagemaker/Endpoints/{name}" in response["LogStreamArn"]
    still_serves(endpoints, name)


def test_nonsense_from_a_handler_says_what_it_was(unruly: tuple[Endpoints, str]) -> None:
    endpoints, name = unruly
    assert "set" in model_error(endpoints, name, do="nonsense")["OriginalMessage"]
    still_serves(endpoints, name)


def test_a_handler_that_hangs_is_ended_and_the_next_request_is_answered(unruly: tuple[Endpoints, str]) -> None:
    endpoints, name = unruly
    before = endpoints.invoke(name, {"do": "answer"})["pid"]
    model_error(endpoints, name, do="hang")
    assert endpoints.invoke(name, {"do": "answer"})["pid"] != before


@pytest.mark.parametrize("how", ["die", "segfault"])
def test_a_worker_that_dies_in_a_request_fails_that_request_alone(unruly: tuple[Endpoints, str], how: str) -> None:
    endpoints, name = unruly
    model_error(endpoints, name, do=how)
    still_serves(endpoints, name)


def test_a_request_that_takes_all_memory_fails_alone_and_the_log_says_so(endpoints: Endpoints, name: str) -> None:
    """Time enough that memory is what ends it, and an instance type whose memory is soon full."""
    endpoints.model(name, handlers(UNRULY), SAGEMAKER_MODEL_SERVER_WORKERS="1", SAGEMAKER_MODEL_SERVER_TIMEOUT="600")
    endpoints.config(name, {"ModelName": name, "InstanceType": "ml.t2.medium"})
    endpoints.create(name)
    assert endpoints.settled(name)["EndpointStatus"] == "InService"
    model_error(endpoints, name, do="leak")
    still_serves(endpoints, name)
    # Python was refused memory, or the kernel ended the worker: as the host limits it.
    told = ("The worker ran out of memory", "ended by signal 9 (SIGKILL)")
    eventually(lambda: any(text in line for text in told for line in log_of(endpoints, name)), what="the log to say so")
    assert not any("took longer than" in line for line in log_of(endpoints, name))


def log_of(endpoints: Endpoints, name: str) -> list[str]:
    """Every line in the endpoint's log."""
    logs = endpoints.platform.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{name}")["events"]
    return [event["message"] for event in events]


#: A server of the model's own that a request can end whole.
MORTAL = """#!/usr/bin/env python3
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"die" in body:
            os._exit(7)
        self.answer(body)
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def test_requests_that_end_the_whole_model_server_do_not_end_the_endpoint(endpoints: Endpoints, name: str) -> None:
    """One more than the deaths in a row that are taken for a crash loop; each meets the next server at once."""
    described = endpoints.deploy(name, archive_of({"code/serve": MORTAL}), SAGEMAKER_PROGRAM="serve")
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    for _ in range(6):
        model_error(endpoints, name, do="die")
    still_answers = endpoints.invoke(name, {"do": "answer", "said": "well"})
    assert still_answers["said"] == "well"
    assert endpoints.settled(name)["EndpointStatus"] == "InService"
    assert sum("another one is started in" in line for line in log_of(endpoints, name)) == 6


def test_a_worker_killed_between_requests_fails_none(unruly: tuple[Endpoints, str]) -> None:
    endpoints, name = unruly
    for _ in range(5):
        pid = endpoints.invoke(name, {"do": "answer"})["pid"]
        kill_worker(endpoints.platform, name, pid)
        still_serves(endpoints, name)


def kill_worker(platform: RunningPlatform, name: str, pid: int) -> None:
    """SIGKILL to the process that calls itself ``pid`` in its own namespace."""
    described = platform.client("sagemaker").describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "InService"
    found = subprocess.run(["pgrep", "-f", "sagebrush.runtime.serving"], capture_output=True, text=True, check=True)
    for outer in map(int, found.stdout.split()):
        process = Path(f"/proc/{outer}")
        if not process.exists():
            continue  # It ended since it was listed.
        status = (process / "status").read_text()
        inner = int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])
        if inner == pid and f"{platform.data_dir}" in (process / "mountinfo").read_text():
            os.kill(outer, signal.SIGKILL)
            return
    raise AssertionError(f"no worker of {name} is process {pid} to itself")


def test_content_that_the_model_does_not_take_is_a_client_error_of_the_model(
    unruly: tuple[Endpoints, str], endpoints: Endpoints, models: dict[str, Any], name: str
) -> None:
    described = endpoints.deploy(name, models["sklearn_archive"])
    assert described["EndpointStatus"] == "InService"
    error = refused(endpoints.runtime.invoke_endpoint, EndpointName=name, Body=b"x", ContentType="image/png")
    assert error.response["OriginalStatusCode"] == 415
    assert "image/png" in error.response["Error"]["Message"]
    assert "Received client error (415) from primary" in error.response["Error"]["Message"]


def test_a_body_that_is_too_large_is_refused(unruly: tuple[Endpoints, str]) -> None:
    endpoints, name = unruly
    error = refused(endpoints.runtime.invoke_endpoint, EndpointName=name, Body=bytes(6 * 1024 * 1024 + 1))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert "6291456" in error.response["Error"]["Message"]
    still_serves(endpoints, name)


def test_unknown_variants_and_unknown_callers_are_refused(unruly: tuple[Endpoints, str]) -> None:
    endpoints, name = unruly
    error = refused(endpoints.invoke, name, {}, TargetVariant="nobody")
    assert error.response["Error"]["Code"] == "ValidationError"
    assert "nobody" in error.response["Error"]["Message"]
    import boto3

    stranger = boto3.client(
        "sagemaker-runtime",
        endpoint_url=endpoints.platform.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wrong",
    )
    error = refused(stranger.invoke_endpoint, EndpointName=name, Body=b"{}")
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_role_without_the_permission_is_refused_with_action_and_resource(
    unruly: tuple[Endpoints, str], platform: RunningPlatform
) -> None:
    _, name = unruly
    iam = platform.client("iam")
    user = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    import boto3

    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=platform.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    error = refused(runtime.invoke_endpoint, EndpointName=name, Body=b"{}")
    assert error.response["Error"]["Code"] == "AccessDeniedException"
    assert (
        f"sagemaker:InvokeEndpoint on resource: arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}"
        in (error.response["Error"]["Message"])
    )
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"}],
    }
    iam.put_user_policy(UserName=user, PolicyName="invoke", PolicyDocument=json.dumps(policy))

    def allowed() -> bool:
        body = json.dumps({"do": "answer"})
        try:
            runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json")
        except ClientError:
            return False
        return True

    eventually(allowed, seconds=30, what="the new permission to be seen")


def test_two_hundred_requests_at_once_to_one_worker_are_all_answered(unruly: tuple[Endpoints, str]) -> None:
    endpoints, name = unruly
    with ThreadPoolExecutor(200) as pool:
        runtime = endpoints.platform.client("sagemaker-runtime", max_pool_connections=200, retries={"max_attempts": 0})

        def ask(i: int) -> int:
            body = json.dumps({"do": "answer", "say": i})
            answer = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json")
            return int(json.loads(answer["Body"].read())["said"])

        assert sorted(pool.map(ask, range(200))) == list(range(200))


def test_a_client_that_sends_slowly_holds_up_nobody_and_one_that_leaves_breaks_nothing(
    unruly: tuple[Endpoints, str],
) -> None:
    endpoints, name = unruly
    address = urlsplit(endpoints.platform.endpoint_url)
    head = f"POST /endpoints/{name}/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
    with socket.create_connection((address.hostname, address.port)) as slow:
        slow.sendall(head + b"{")
        still_serves(endpoints, name)
    leave_early(endpoints, name)
    still_serves(endpoints, name)


def leave_early(endpoints: Endpoints, name: str) -> None:
    """Ask for what takes a second, and hang up after a tenth."""
    import botocore.exceptions

    runtime = endpoints.platform.client("sagemaker-runtime", read_timeout=0.1, retries={"max_attempts": 0})
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        runtime.invoke_endpoint(
            EndpointName=name, Body=json.dumps({"do": "sleep", "seconds": 1}), ContentType="application/json"
        )


def test_an_endpoint_deleted_under_load_ends_with_clean_errors(endpoints: Endpoints, name: str) -> None:
    from tests.journeys.test_endpoints_with_boto3 import Load

    endpoints.deploy(name, times(1))
    with Load(endpoints, name) as load:
        endpoints.delete(name)
        eventually(lambda: len(load.errors) > 20, what="errors after the deletion")
    assert all("ValidationError" in error and name in error for error in load.errors), set(load.errors)


def test_an_endpoint_in_change_is_neither_updated_nor_created_again(endpoints: Endpoints, name: str) -> None:
    slow = handlers("import time\ndef model_fn(d):\n    time.sleep(3)\n    return 1\n")
    endpoints.model(name, slow)
    endpoints.config(name, {"ModelName": name})
    endpoints.create(name)
    error = refused(endpoints.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=name)
    assert "Cannot update in-progress endpoint" in error.response["Error"]["Message"]
    error = refused(endpoints.sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=name)
    assert "Cannot create already existing endpoint" in error.response["Error"]["Message"]
    settled = endpoints.settled(name)
    assert settled["EndpointStatus"] == "InService"


def test_what_is_not_served_yet_is_named(endpoints: Endpoints, name: str) -> None:
    endpoints.model(name, times(1))
    error = refused(
        endpoints.sagemaker.create_endpoint_config,
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "v",
                "ModelName": name,
                "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
            }
        ],
    )
    assert "ServerlessConfig" in error.response["Error"]["Message"]
