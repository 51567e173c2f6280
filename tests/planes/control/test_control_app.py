"""The control plane's application on a real platform, asked in ASGI as uvicorn asks it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sagebrush.planes import DIRECT_HEADER
from sagebrush.planes.control import app as control_app
from sagebrush.planes.control.app import ControlApp
from sagebrush.planes.control.internal import InternalPages
from sagebrush.planes.control.requests import RequestHandler
from sagebrush.server.composition import open_platform
from sagebrush.server.grants import grant
from sagebrush.substrate.calls import Call, Calls, Capability, Registry, Service
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import ensure_seed
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.wire.engine import Engine

URL = "http://127.0.0.1:4600/"
TARGET = "Logs_20140328."


class Operations:
    """Stands in for a capability: what the plane does around an operation is what is tested here."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(call)
        return {"logGroups": [{"logGroupName": request.get("logGroupNamePrefix", "none")}]}

    def explode(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("the secret detail")

    def refuse(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        raise CallerError("ResourceNotFoundException", "The specified log group does not exist.")

    def wait(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self.entered.release()
        assert self.gate.wait(30)
        return {}

    def capability(self) -> Capability:
        operations = {
            "DescribeLogGroups": self.describe,
            "CreateLogGroup": self.explode,
            "DeleteLogGroup": self.refuse,
            "CreateLogStream": self.wait,
        }
        return Capability("logs", (Service("logs", "logs", operations),))


class Plane:
    """An application with its platform, and requests to it."""

    def __init__(self, platform: Platform, operations: Operations, **settings: Any):
        self.platform = platform
        self.healthy = True
        self.tokens: list[str] = []
        self.questions: list[Mapping[str, Any]] = []
        handler = RequestHandler(platform, Engine(["logs", "iam"]))
        pages = InternalPages(healthy=lambda: self.healthy, job_credentials=self._credentials, grant=self._grant)
        self.app = ControlApp(handler, pages, threads=settings.get("threads", 2))

    def _credentials(self, authorization: str) -> Mapping[str, Any]:
        if authorization != "token":
            raise CallerError("AccessDeniedException", "no", status=403)
        self.tokens.append(authorization)
        return {"AccessKeyId": "ASIA"}

    def _grant(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        self.questions.append(question)
        return grant(self.platform, question)

    def signed(self, operation: str, body: bytes = b"{}", *, credentials: Credentials | None = None) -> dict[str, str]:
        issued = self.platform.identity.operator_session()
        request = AWSRequest("POST", URL, data=body, headers={"X-Amz-Target": TARGET + operation, **JSON_TYPE})
        operator = Credentials(issued.access_key_id, issued.secret_access_key, issued.session_token)
        SigV4Auth(credentials or operator, "logs", "us-east-1").add_auth(request)
        return dict(request.headers.items())

    async def send(
        self, headers: Mapping[str, str], body: bytes = b"{}", *, method: str = "POST", path: str = "/", pieces: int = 1
    ) -> tuple[int, dict[str, str], bytes]:
        step = max(1, -(-len(body) // pieces))
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": body[i : i + step], "more_body": True} for i in range(0, len(body), step)
        ]
        messages.append({"type": "http.request", "body": b"", "more_body": False})
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        raw = [(n.lower().encode(), v.encode()) for n, v in ({"Host": "127.0.0.1:4600"} | dict(headers)).items()]
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": raw,
        }
        await self.app(scope, receive, send)
        start, end = sent
        return start["status"], {n.decode(): v.decode() for n, v in start["headers"]}, end["body"]

    def ask(self, headers: Mapping[str, str], body: bytes = b"{}", **how: Any) -> tuple[int, dict[str, str], bytes]:
        return asyncio.run(self.send(headers, body, **how))


JSON_TYPE = {"Content-Type": "application/x-amz-json-1.1"}


@pytest.fixture
def operations() -> Operations:
    return Operations()


def build(tmp_path: Path, operations: Operations, **settings: Any) -> Iterator[Plane]:
    chosen = Settings(data_dir=tmp_path, **settings)
    (tmp_path / "keys").mkdir(mode=0o700)
    with open_platform(chosen, SystemClock()) as whole:
        ensure_seed(whole.store, chosen, whole.clock)
        parts = {name: getattr(whole, name) for name in Platform.__slots__}
        parts["calls"] = Calls(Registry([operations.capability()]))
        plane = Plane(Platform(**parts), operations)
        yield plane
        plane.app.close()


@pytest.fixture
def plane(tmp_path: Path, operations: Operations) -> Iterator[Plane]:
    yield from build(tmp_path, operations)


def test_a_signed_request_reaches_its_operation_and_is_logged_without_secrets(
    plane: Plane, operations: Operations, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"logGroupNamePrefix": "abc"}'
    headers = plane.signed("DescribeLogGroups", body) | {"X-Sagebrush-Source-Ip": "10.1.2.3"}
    with caplog.at_level(logging.INFO):
        status, answered, payload = plane.ask(headers, body)
    assert (status, json.loads(payload)) == (200, {"logGroups": [{"logGroupName": "abc"}]})
    (call,) = operations.calls
    assert (call.service, call.operation, call.source_ip) == ("logs", "DescribeLogGroups", "10.1.2.3")
    assert call.principal.operator
    assert answered["x-amzn-requestid"] == call.request_id
    (line,) = [r.getMessage() for r in caplog.records if r.name == "sagebrush.requests"]
    assert line.startswith("logs.DescribeLogGroups 200 ")
    assert call.request_id in line
    assert "assumed-role/SageMakerRole/operator" in line
    assert headers["X-Amz-Security-Token"] not in caplog.text


def test_a_body_may_arrive_in_pieces_but_must_be_the_signed_one(plane: Plane) -> None:
    body = b'{"logGroupNamePrefix": "abcdefgh"}'
    headers = plane.signed("DescribeLogGroups", body)
    assert plane.ask(headers, body, pieces=5)[0] == 200
    status, _, payload = plane.ask(headers, body.replace(b"abc", b"abd"))
    assert (status, json.loads(payload)["__type"]) == (400, "InvalidSignatureException")


def test_who_is_not_known_reaches_nothing(plane: Plane, operations: Operations) -> None:
    unsigned = JSON_TYPE | {"X-Amz-Target": TARGET + "DescribeLogGroups"}
    stranger = plane.signed("DescribeLogGroups", credentials=Credentials("AKIAIOSFODNN7EXAMPLE", "guessed"))
    forged = plane.signed("DescribeLogGroups")
    forged["Authorization"] = forged["Authorization"][:-4] + "0000"
    expected = {
        "MissingAuthenticationTokenException": unsigned,
        "UnrecognizedClientException": stranger,
        "InvalidSignatureException": forged,
    }
    for code, headers in expected.items():
        status, _, payload = plane.ask(headers)
        assert status in (400, 403)
        assert json.loads(payload)["__type"] == code
    assert operations.calls == []


def test_a_failing_operation_is_an_internal_failure_whose_cause_is_in_the_log_only(
    plane: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"logGroupName": "x"}'
    status, answered, payload = plane.ask(plane.signed("CreateLogGroup", body), body)
    assert (status, json.loads(payload)["__type"]) == (500, "InternalFailure")
    assert b"secret" not in payload
    assert "RuntimeError: the secret detail" in caplog.text
    assert answered["x-amzn-requestid"] in caplog.text


def test_an_operations_own_error_reaches_the_caller_in_its_words(plane: Plane) -> None:
    body = b'{"logGroupName": "x"}'
    status, _, payload = plane.ask(plane.signed("DeleteLogGroup", body), body)
    document = json.loads(payload)
    assert (status, document["__type"]) == (400, "ResourceNotFoundException")
    assert document["message"] == "The specified log group does not exist."


def test_what_is_not_served_says_so(plane: Plane) -> None:
    body = b'{"logGroupName": "x"}'
    status, _, payload = plane.ask(plane.signed("DeleteRetentionPolicy", body), body)
    document = json.loads(payload)
    assert (status, document["__type"]) == (501, "UnknownOperationException")
    assert "logs:DeleteRetentionPolicy" in document["message"]


@pytest.mark.parametrize("scope", ["s3", "sts", "sagemaker"])
def test_what_was_signed_for_another_service_is_refused(plane: Plane, operations: Operations, scope: str) -> None:
    """Above all for S3, whose signatures need not cover the body."""
    issued = plane.platform.identity.operator_session()
    operator = Credentials(issued.access_key_id, issued.secret_access_key, issued.session_token)
    headers = JSON_TYPE | {"X-Amz-Target": TARGET + "DescribeLogGroups", "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    request = AWSRequest("POST", URL, data=b"{}", headers=headers)
    SigV4Auth(operator, scope, "us-east-1").add_auth(request)
    status, _, payload = plane.ask(dict(request.headers.items()), b'{"logGroupNamePrefix": "replaced"}')
    assert status in (400, 403)
    assert "Exception" in json.loads(payload)["__type"]
    assert operations.calls == []


def test_bodies_together_have_a_limit_and_what_they_held_is_given_back(
    plane: Plane, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_app, "MAX_BYTES_IN_HAND", 1000)
    headers = JSON_TYPE | {"X-Amz-Target": TARGET + "DescribeLogGroups"}
    status, _, payload = plane.ask(headers, b" " * 1001, pieces=3)
    assert (status, json.loads(payload)["__type"]) == (503, "ServiceUnavailable")
    body = b'{"logGroupNamePrefix": "' + b"a" * 400 + b'"}'
    for _ in range(5):
        assert plane.ask(plane.signed("DescribeLogGroups", body), body)[0] == 200


def test_a_body_beyond_the_limit_is_refused_announced_or_not(plane: Plane) -> None:
    size = control_app.MAX_BODY_BYTES + 1
    headers = JSON_TYPE | {"X-Amz-Target": TARGET + "DescribeLogGroups"}
    assert plane.ask(headers | {"Content-Length": str(size)}, b"")[0] == 413
    status, _, payload = plane.ask(headers, b" " * size, pieces=100)
    assert (status, json.loads(payload)["__type"]) == (413, "RequestEntityTooLargeException")


def test_more_requests_than_can_wait_are_throttled_and_the_rest_answered(
    plane: Plane, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane.app, "_most_in_hand", 2)
    body = b'{"logGroupName": "x", "logStreamName": "y"}'
    headers = plane.signed("CreateLogStream", body)

    async def crowd() -> list[int]:
        first = [asyncio.create_task(plane.send(headers, body)) for _ in range(2)]
        await asyncio.to_thread(operations.entered.acquire)
        await asyncio.to_thread(operations.entered.acquire)
        late = asyncio.create_task(plane.send(headers, body))
        await asyncio.sleep(0)
        operations.gate.set()
        return [(await task)[0] for task in [*first, late]]

    assert asyncio.run(crowd()) == [200, 200, 400]


def test_health_follows_the_reconcilers(plane: Plane) -> None:
    assert plane.ask({}, method="GET", path="/_sagebrush/health")[0] == 200
    plane.healthy = False
    assert plane.ask({}, method="GET", path="/_sagebrush/health")[0] == 503
    assert plane.ask({}, method="POST", path="/_sagebrush/health")[0] == 405
    assert plane.ask({}, method="GET", path="/_sagebrush/elsewhere")[0] == 404


def test_job_credentials_are_served_to_their_token_on_this_machine_only(plane: Plane) -> None:
    page = {"method": "GET", "path": "/_sagebrush/credentials"}
    status, answered, payload = plane.ask({"Authorization": "token"}, **page)
    assert (status, json.loads(payload)) == (200, {"AccessKeyId": "ASIA"})
    assert answered["cache-control"] == "no-store"
    assert plane.ask({"Authorization": "another"}, **page)[0] == 403
    assert plane.ask({"Authorization": "token", "X-Sagebrush-Source-Ip": "10.0.0.1"}, **page)[0] == 403
    assert plane.tokens == ["token"]


GRANT = {"method": "POST", "path": "/_sagebrush/internal/grant"}
ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/e"


def question(key: str, token: str | None = None, **changed: Any) -> bytes:
    asked = {"access_key_id": key, "session_token": token, "action": "sagemaker:InvokeEndpoint", "resource": ENDPOINT}
    return json.dumps(asked | {"source_ip": "127.0.0.1"} | changed).encode()


def test_the_grant_page_answers_on_the_planes_own_socket_only(plane: Plane) -> None:
    issued = plane.platform.identity.operator_session()
    body = question(issued.access_key_id, issued.session_token)
    assert plane.ask({}, body, **GRANT)[0] == 404
    assert plane.ask({"X-Sagebrush-Source-Ip": "127.0.0.1"}, body, **GRANT)[0] == 404
    assert plane.questions == []
    direct = {DIRECT_HEADER: "1"}
    assert plane.ask(direct, body, **(GRANT | {"method": "GET"}))[0] == 405
    status, answered, payload = plane.ask(direct, body, **GRANT)
    assert (status, answered["cache-control"]) == (200, "no-store")
    assert json.loads(payload) == {
        "secret": issued.secret_access_key,
        "denied": None,
        "seconds": 5,
    }


def test_a_grant_says_what_the_policies_say(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    identity = plane.platform.identity
    role = "arn:aws:iam::123456789012:role/SageMakerRole"
    only_list = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sagemaker:List*", "Resource": "*"}}
    )
    on_one_machine = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Action": "sagemaker:InvokeEndpoint",
                "Resource": ENDPOINT,
                "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
            },
        }
    )

    def asked(policy: str | None, **changed: Any) -> dict[str, Any]:
        issued = identity.role_session(role, "s", 900, policies=(policy,) if policy else ())
        body = question(issued.access_key_id, issued.session_token, **changed)
        status, _, payload = plane.ask({DIRECT_HEADER: "1"}, body, **GRANT)
        assert status == 200
        answer: dict[str, Any] = json.loads(payload)
        assert answer["secret"] == issued.secret_access_key
        assert issued.secret_access_key not in caplog.text
        return answer

    with caplog.at_level(logging.DEBUG):
        assert asked(None)["denied"] is None
        denied = asked(only_list)["denied"]
        assert (denied["code"], denied["status"]) == ("AccessDeniedException", 403)
        assert f"is not authorized to perform: sagemaker:InvokeEndpoint on resource: {ENDPOINT}" in denied["message"]
        assert asked(on_one_machine, source_ip="10.1.2.3")["denied"] is None
        assert asked(on_one_machine, source_ip="11.1.2.3")["denied"] is not None
        assert asked(on_one_machine, source_ip="10.1.2.3", resource=ENDPOINT + "2")["denied"] is not None


def test_a_key_that_is_none_gets_no_grant(plane: Plane) -> None:
    issued = plane.platform.identity.operator_session()
    for body, code, status in (
        (question("AKIAIOSFODNN7EXAMPLE"), "InvalidClientTokenId", 403),
        (question(issued.access_key_id, "made up"), "InvalidClientTokenId", 403),
        (question(issued.access_key_id), "InvalidClientTokenId", 403),
        (b"[]", "SerializationException", 400),
        (b"{", "SerializationException", 400),
        (b'{"access_key_id": 3}', "SerializationException", 400),
    ):
        answered, _, payload = plane.ask({DIRECT_HEADER: "1"}, body, **GRANT)
        document = json.loads(payload)
        assert (answered, document["status"], document["code"]) == (status, status, code)


def test_an_expired_session_gets_no_grant(plane: Plane) -> None:
    role = "arn:aws:iam::123456789012:role/SageMakerRole"
    issued = plane.platform.identity.role_session(role, "s", -1)
    body = question(issued.access_key_id, issued.session_token)
    status, _, payload = plane.ask({DIRECT_HEADER: "1"}, body, **GRANT)
    assert (status, json.loads(payload)["code"]) == (403, "ExpiredTokenException")


def test_open_authentication_takes_anybody_as_the_operator(tmp_path: Path, operations: Operations) -> None:
    for plane in build(tmp_path, operations, auth="open"):
        headers = JSON_TYPE | {"X-Amz-Target": TARGET + "DescribeLogGroups", "Authorization": "whatever"}
        assert plane.ask(headers)[0] == 200
        assert operations.calls[0].principal.operator


def test_a_client_that_leaves_in_the_middle_of_its_body_reaches_nothing(plane: Plane, operations: Operations) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "raw_path": b"/", "query_string": b"", "headers": []}
    asyncio.run(plane.app(scope, receive, send))
    assert sent == []
    assert operations.calls == []
