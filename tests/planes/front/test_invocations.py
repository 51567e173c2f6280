"""Invocations through a real front door to real worker processes, by real clients."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagebrush.planes.front import connection, heads
from sagebrush.planes.front.invocations.variant import Variant
from tests.planes.front.invoking import JSON, Inferno, endpoint, poll, signed, variant

Start = Callable[..., Inferno]


def serving(start: Start, workers: int = 1, **rules: Any) -> Inferno:
    """A front door with one endpoint ``e`` of one variant."""
    around = start(**rules)
    made = [around.worker(f"w{i}") for i in range(workers)]
    around.route(e=endpoint("e", variant("AllTraffic", *(w.path for w in made))))
    return around


def ask(runtime: Any, told: Any = None, name: str = "e", **more: Any) -> Any:
    answer = runtime.invoke_endpoint(EndpointName=name, Body=json.dumps(told or {}), ContentType=JSON, **more)
    return json.loads(answer["Body"].read())


def refused(call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **more)
    return caught.value.response


# --- the request and its answer --------------------------------------------------------------------------------------


def test_a_request_reaches_the_worker_and_its_answer_the_client(inferno: Start) -> None:
    around = serving(inferno)
    answer = around.runtime().invoke_endpoint(
        EndpointName="e",
        Body=b'{"id": 1}',
        ContentType=JSON,
        Accept="text/csv",
        CustomAttributes="trace=1",
        InferenceId="mine",
    )
    seen = json.loads(answer["Body"].read())
    assert answer["ContentType"] == JSON
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert len(answer["ResponseMetadata"]["RequestId"]) == 32
    assert seen["line"] == "POST /invocations HTTP/1.1"
    assert seen["told"] == {"id": 1}
    headers = seen["headers"]
    assert headers.pop("host") == "localhost"
    assert headers == {
        "content-length": "9",
        "content-type": JSON,
        "accept": "text/csv",
        "x-amzn-sagemaker-custom-attributes": "trace=1",
        "x-amzn-sagemaker-inference-id": "mine",
    }


def test_custom_attributes_of_the_model_are_returned(inferno: Start) -> None:
    runtime = serving(inferno).runtime()
    answer = runtime.invoke_endpoint(EndpointName="e", Body=b'{"do": "custom"}')
    assert answer["CustomAttributes"] == "from the model"


@pytest.mark.parametrize("size", [0, 1, 70_000, 300_000, 6 * 1024 * 1024])
def test_bodies_of_every_size_pass_and_are_compared_with_their_signature(inferno: Start, size: int) -> None:
    around = serving(inferno)
    answer = around.runtime().invoke_endpoint(EndpointName="e", Body=b"x" * size)
    assert json.loads(answer["Body"].read())["size"] == size
    if size:
        tampered = signed(b"x" * size)[:-1] + b"y"
        status, headers, _ = around.front.client().send(tampered).response()
        assert (status, headers["x-amzn-errortype"]) == (403, "invalidsignatureexception")


@pytest.mark.parametrize("count", [0, 100_000, 7_000_000, 30_000_000])
def test_answers_of_every_size_pass(inferno: Start, count: int) -> None:
    runtime = serving(inferno).runtime()
    answer = runtime.invoke_endpoint(EndpointName="e", Body=json.dumps({"do": "bytes", "count": count}))
    assert answer["Body"].read() == b"b" * count
    assert ask(runtime)["size"] == 2


@pytest.mark.parametrize("count", [3, 300])
def test_answers_in_chunks_pass(inferno: Start, count: int) -> None:
    runtime = serving(inferno).runtime()
    answer = runtime.invoke_endpoint(EndpointName="e", Body=json.dumps({"do": "chunked", "count": count}))
    assert answer["Body"].read() == b"c" * 65536 * count
    assert ask(runtime)["size"] == 2


def test_an_answer_that_ends_with_its_connection_passes(inferno: Start) -> None:
    runtime = serving(inferno).runtime()
    assert runtime.invoke_endpoint(EndpointName="e", Body=b'{"do": "endless"}')["Body"].read() == b"until the end"
    assert ask(runtime)["size"] == 2


def test_more_than_was_announced_does_not_reach_the_next_client(inferno: Start) -> None:
    runtime = serving(inferno).runtime()
    for _ in range(3):
        assert ask(runtime, {"do": "surplus"}) == {}
        assert ask(runtime)["size"] == 2


def test_a_body_in_chunks_is_taken(inferno: Start) -> None:
    around = serving(inferno)
    whole = signed(b'{"id": 7}')
    head, _, body = whole.partition(b"\r\n\r\n")
    head = head.replace(b"Content-Length: 9", b"Transfer-Encoding: chunked")
    client = around.front.client().send(head + b"\r\n\r\n4\r\n" + body[:4] + b"\r\n5\r\n" + body[4:] + b"\r\n0\r\n\r\n")
    assert json.loads(client.response()[2])["told"] == {"id": 7}


def test_continue_is_said_to_whoever_waits_for_it(inferno: Start) -> None:
    around = serving(inferno)
    head, _, body = signed(b'{"id": 7}').partition(b"\r\n\r\n")
    client = around.front.client().send(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert client.head()[0] == 100
    assert json.loads(client.send(body).response()[2])["told"] == {"id": 7}


@pytest.mark.skipif(
    not hasattr(connection.ClientConnection.data_received, "__code__"),
    reason="compiled: functions call each other past their names",
)
def test_a_client_that_repeats_itself_is_parsed_once(inferno: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def parse(raw: bytes) -> heads.RequestHead:
        parsed.append(raw)
        return heads.parse_request_head(raw)

    monkeypatch.setattr("sagebrush.planes.front.connection.parse_request_head", parse)
    around = serving(inferno)
    client = around.front.client()
    for number in range(20):
        client.send(signed(json.dumps({"id": f"{number:04}"}).encode()))
        assert json.loads(client.response()[2])["told"] == {"id": f"{number:04}"}
    assert len(parsed) == 1
    client.send(signed(b"{}", name="nobody"))
    assert client.response()[0] == 400
    assert len(parsed) == 2


def test_pipelined_requests_are_answered_in_order_whatever_they_are(inferno: Start) -> None:
    around = serving(inferno)
    good = [signed(json.dumps({"id": i}).encode()) for i in range(300)]
    bad = signed(b"{}", "nobody")
    client = around.front.client()
    client.sock.setblocking(True)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.send, b"".join(one + bad for one in good))
        for i in range(300):
            status, _, body = client.response()
            assert (status, json.loads(body)["told"]["id"]) == (200, i)
            assert client.response()[0] == 400
        sending.result()


def test_old_clients_and_closing_clients_are_served(inferno: Start) -> None:
    around = serving(inferno, signed=False)
    for line, option, answered in (
        (b"HTTP/1.0", b"", "close"),
        (b"HTTP/1.0", b"Connection: keep-alive\r\n", "keep-alive"),
        (b"HTTP/1.1", b"Connection: close\r\n", "close"),
    ):
        client = around.front.client()
        client.send(b"POST /endpoints/e/invocations %b\r\nHost: x\r\n%bContent-Length: 2\r\n\r\n{}" % (line, option))
        status, headers, _ = client.response()
        assert (status, headers["connection"]) == (200, answered)


def test_repeated_headers_are_one(inferno: Start) -> None:
    around = serving(inferno, signed=False)
    client = around.front.client().send(
        b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nCONTENT-TYPE: a\r\n"
        b"x-amzn-sagemaker-inference-id: 1\r\nX-AMZN-SageMaker-Inference-Id: 2\r\ncontent-type: b\r\n\r\n{}"
    )
    headers = json.loads(client.response()[2])["headers"]
    assert headers["content-type"] == "a,b"
    assert headers["x-amzn-sagemaker-inference-id"] == "1,2"


# --- who may, and what is there --------------------------------------------------------------------------------------


def test_open_authentication_takes_anybody(inferno: Start) -> None:
    around = serving(inferno, signed=False)
    assert ask(around.runtime("AKIDANYBODY", "guessed"))["size"] == 2
    assert around.control.asked == []


def test_a_presigned_request_is_taken(inferno: Start) -> None:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    from tests.planes.front.invoking import KEY, REGION, SECRET

    around = serving(inferno)
    request = AWSRequest("POST", "http://front/endpoints/e/invocations", headers={"Host": "front"})
    botocore.auth.SigV4QueryAuth(Credentials(KEY, SECRET), "sagemaker", REGION, expires=60).add_auth(request)
    target = request.url.removeprefix("http://front")

    def status(body: bytes) -> int:
        head = f"POST {target} HTTP/1.1\r\nHost: front\r\nContent-Length: {len(body)}\r\n\r\n"
        return around.front.client().send(head.encode() + body).response()[0]

    assert status(b"") == 200
    assert status(b"[]") == 403


def test_who_is_not_known_reaches_no_worker(inferno: Start) -> None:
    around = serving(inferno)
    expected = {
        "UnrecognizedClientException": around.runtime("AKIDSTRANGER"),
        "InvalidSignatureException": around.runtime(secret="guessed"),
        "ExpiredTokenException": around.runtime(token="old"),
    }
    for code, runtime in expected.items():
        response = refused(ask, runtime)
        assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, 403)
    client = around.front.client()
    client.send(b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    status, headers, _ = client.response()
    assert (status, headers["x-amzn-errortype"]) == (403, "missingauthenticationtokenexception")
    assert around.workers[0].begun() == []


def test_who_may_not_is_told_in_the_control_planes_words(inferno: Start) -> None:
    around = serving(inferno)
    around.control.denied.add("AKIDINVOKER")
    response = refused(ask, around.runtime())
    assert response["Error"]["Code"] == "AccessDeniedException"
    arn = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/e"
    assert f"sagemaker:InvokeEndpoint on resource: {arn}" in response["Error"]["Message"]
    assert "denied" not in json.dumps(refused(ask, around.runtime(secret="guessed")))
    around.control.denied.clear()
    poll(lambda: asked(around), "the permission to be seen")


def asked(around: Inferno) -> bool:
    try:
        return bool(ask(around.runtime())["size"])
    except ClientError:
        return False


def test_grants_are_remembered_per_key_and_resource(inferno: Start) -> None:
    around = serving(inferno)
    runtime = around.runtime()
    for _ in range(20):
        ask(runtime)
    (question,) = around.control.asked
    assert question == {
        "access_key_id": "AKIDINVOKER",
        "session_token": None,
        "action": "sagemaker:InvokeEndpoint",
        "resource": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/e",
        "source_ip": "127.0.0.1",
    }


def test_known_keys_go_on_while_the_control_plane_is_away_and_new_ones_wait_for_it(inferno: Start) -> None:
    around = serving(inferno)
    around.control.seconds = 0.01
    runtime = around.runtime()
    ask(runtime)
    around.control.stop()
    for _ in range(10):
        assert ask(runtime)["size"] == 2
    around.control.secrets["AKIDNEW"] = "new"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, around.runtime("AKIDNEW", "new"))
        poll(lambda: around.front.on_loop(lambda: len(around.front.door.invocations.grants._fetching)), "the question")
        around.control.start()
        assert waiting.result()["size"] == 2


def test_known_keys_go_on_while_the_control_plane_hangs(inferno: Start) -> None:
    around = serving(inferno)
    around.control.seconds = 0.01
    runtime = around.runtime()
    ask(runtime)
    around.control.stop()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(around.control.path))
        silent.listen(100)
        for _ in range(20):
            assert ask(runtime)["size"] == 2
    around.control.path.unlink()


def test_a_taken_right_is_soon_gone(inferno: Start) -> None:
    around = serving(inferno)
    around.control.seconds = 0.05
    runtime = around.runtime()
    ask(runtime)
    around.control.denied.add("AKIDINVOKER")
    poll(lambda: not asked(around), "the refusal")


def test_what_is_not_there_is_told(inferno: Start) -> None:
    around = serving(inferno)
    runtime = around.runtime()
    response = refused(ask, runtime, name="nobody")
    assert response["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint nobody of account 123456789012 not found.",
    }
    response = refused(ask, runtime, TargetVariant="other")
    assert response["Error"]["Code"] == "ValidationError"
    assert "other" in response["Error"]["Message"]
    around.route(e=endpoint("e", variant("AllTraffic"), status="Failed"))
    response = refused(ask, runtime)
    assert response["Error"]["Code"] == "ValidationError"
    assert "Failed" in response["Error"]["Message"]


@pytest.mark.parametrize("header", ["TargetModel", "TargetContainerHostname", "InferenceComponentName"])
def test_what_names_another_model_is_refused_not_ignored(inferno: Start, header: str) -> None:
    around = serving(inferno)
    response = refused(ask, around.runtime(), **{header: "other"})
    assert response["Error"]["Code"] == "ValidationError"
    assert around.workers[0].begun() == []


def test_asynchronous_and_bidirectional_invocations_are_the_control_planes(inferno: Start) -> None:
    around = serving(inferno)
    for path in ("async-invocations", "invocations-bidirectional-stream"):
        client = around.front.client()
        client.send(b"POST /endpoints/e/%b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" % path.encode())
        assert client.echo()["plane"] == "control"


def test_internal_pages_are_not_passed_on(inferno: Start) -> None:
    around = serving(inferno)
    client = around.front.client()
    client.send(b"POST /_sagebrush/internal/grant HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    assert client.response()[0] == 404
    assert around.control.asked == []


def test_a_body_that_is_too_large_is_refused_before_it_is_read(inferno: Start) -> None:
    around = serving(inferno, max_bytes=1000)
    response = refused(around.runtime().invoke_endpoint, EndpointName="e", Body=b"x" * 1001)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert response["Error"]["Message"] == "HTTP content length exceeded 1000 bytes."
    client = around.front.client()
    client.send(b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
    assert client.response()[0] == 413
    assert ask(around.runtime())["size"] == 2


def test_bodies_in_hand_have_a_limit_and_what_they_held_is_given_back(inferno: Start) -> None:
    """Whose body is only arriving makes room: nobody knows yet whether that client may invoke anything."""
    around = serving(inferno, bytes_in_hand=100_000)
    held = around.front.client()
    held.send(signed(b"x" * 90_000)[:80_000])
    service = around.front.door.invocations
    assert service is not None
    poll(lambda: service.bytes_in_hand >= 70_000, "the first body")
    around.runtime().invoke_endpoint(EndpointName="e", Body=b"x" * 50_000)
    status, headers, _ = held.response()
    assert (status, headers["x-amzn-errortype"]) == (503, "serviceunavailable")
    poll(lambda: service.bytes_in_hand == 0, "the room to be given back")
    assert not service.arriving


def test_requests_that_wait_for_a_worker_are_not_given_up_for_new_ones(inferno: Start) -> None:
    around = serving(inferno, bytes_in_hand=100_000)
    (worker,) = around.workers
    worker.pause()
    service = around.front.door.invocations
    assert service is not None
    waiting = [around.front.client().send(signed(b"x" * 40_000)) for _ in range(2)]
    poll(lambda: service.bytes_in_hand == 80_000, "both to wait")
    response = refused(around.runtime().invoke_endpoint, EndpointName="e", Body=b"x" * 50_000)
    assert response["Error"]["Code"] == "ThrottlingException"
    worker.resume()
    assert [client.response()[0] for client in waiting] == [200, 200]
    poll(lambda: service.bytes_in_hand == 0, "the room to be given back")


_UNSIGNED = b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: front\r\n"


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (_UNSIGNED, "missingauthenticationtokenexception"),
        (signed(b"x" * 90, key="AKIDNOBODY").partition(b"Content-Length")[0], "unrecognizedclientexception"),
    ],
)
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 90\r\n\r\nx", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
def test_what_no_body_can_make_right_is_refused_before_the_body(
    inferno: Start, head: bytes, code: str, framing: bytes
) -> None:
    around = serving(inferno)
    status, headers, _ = around.front.client().send(head + framing).response()
    assert (status, headers["x-amzn-errortype"]) == (403, code)
    # The same where the client asks first whether its body is wanted.
    expecting = head + b"Expect: 100-continue\r\nContent-Length: 90\r\n\r\n"
    status, headers, _ = around.front.client().send(expecting).response()
    assert (status, headers["x-amzn-errortype"]) == (403, code)


def test_a_body_in_chunks_that_are_all_framing_is_refused(inferno: Start) -> None:
    around = serving(inferno)
    service = around.front.door.invocations
    assert service is not None
    head = signed(b"ab" * 50_000).partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    client = around.front.client().send(head + b"2\r\nab\r\n" * 5_000)
    status, _, body = client.response()
    assert (status, "4096 chunks of less than 64 bytes" in json.loads(body)["Message"]) == (400, True)
    assert service.bytes_in_hand == 0
    # Small chunks as such are welcome, and few of any size.
    whole = signed(b"ab" * 4_000)
    head, _, _ = whole.partition(b"Content-Length")
    client = around.front.client()
    client.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 4_000 + b"0\r\n\r\n")
    status, _, body = client.response()
    assert (status, json.loads(body)["size"]) == (200, 8_000)


def test_a_body_of_many_small_packets_takes_the_memory_of_its_bytes(inferno: Start) -> None:
    around = serving(inferno)
    service = around.front.door.invocations
    assert service is not None
    request = signed(b"x" * 3_000)
    client = around.front.client()
    client.send(request[:-2_000])
    for at in range(2_000, 0, -1):
        client.send(request[-at : -at + 1 or None])
    status, _, body = client.response()
    assert (status, json.loads(body)["size"]) == (200, 3_000)


def test_a_body_that_drips_has_its_time(inferno: Start) -> None:
    around = inferno(limits={"body_seconds": 1.0, "slowest_body": 1_000_000})
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path)))
    client = around.front.client()
    request = signed(b"x" * 1_000)
    client.send(request[:-900])
    began = time.monotonic()
    with contextlib.suppress(OSError):
        for at in range(900, 0, -1):
            client.send(request[-at : -at + 1 or None])
            time.sleep(0.05)
            if time.monotonic() - began > 20:
                break
    status, headers, _ = client.response()
    assert (status, headers["x-amzn-errortype"]) == (408, "requesttimeout")


@pytest.mark.parametrize(
    "told",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5_000 + b"2\r\n\r\n{}",
        b"HTTP/1.1 " + b"2" * 5_000 + b" OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: a\x1b[2Jb\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["long length", "long status", "two lengths", "negative", "control characters", "long type"],
)
def test_what_a_model_says_that_is_no_http_is_told_at_once(inferno: Start, told: bytes) -> None:
    around = serving(inferno)
    answer = refused(ask, around.runtime(), {"do": "raw", "text": base64.b64encode(told).decode()})
    assert answer["Error"]["Code"] == "ModelError"
    assert "what is not HTTP" in answer["OriginalMessage"]


def test_an_answer_in_tiny_chunks_arrives_whole(inferno: Start) -> None:
    around = serving(inferno)
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 20_000 + b"0\r\n\r\n"
    body = json.dumps({"do": "raw", "text": base64.b64encode(raw).decode()})
    assert around.runtime().invoke_endpoint(EndpointName="e", Body=body)["Body"].read() == b"ab" * 20_000


def test_an_unreadable_head_of_an_invocation_is_refused_as_its_client_reads_it(inferno: Start) -> None:
    around = serving(inferno)
    zeros = b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"0" * 5_000 + b"5\r\n\r\nhello"
    twice = signed(b"x").replace(b"\r\nAuthorization: ", b"\r\nAuthorization: AWS4 x\r\nAuthorization: ")
    for raw in (zeros, twice):
        status, headers, body = around.front.client().send(raw).response()
        assert (status, headers["content-type"]) == (400, "application/x-amz-json-1.1"), body
        assert "Message" in json.loads(body) or "message" in json.loads(body)


def test_attributes_that_are_too_long_and_other_models_are_refused_after_the_signature(inferno: Start) -> None:
    around = serving(inferno)
    response = refused(ask, around.runtime(), {}, CustomAttributes="a" * 1025)
    assert "CustomAttributes" in response["Error"]["Message"]
    unsigned = _UNSIGNED + b"X-Amzn-SageMaker-Target-Model: m\r\nContent-Length: 0\r\n\r\n"
    status, headers, _ = around.front.client().send(unsigned).response()
    assert (status, headers["x-amzn-errortype"]) == (403, "missingauthenticationtokenexception")


# --- variants and lanes ----------------------------------------------------------------------------------------------


def test_traffic_follows_the_weights_and_a_weight_of_nothing_gets_none(inferno: Start) -> None:
    around = inferno()
    a, b, c = (around.worker(name) for name in "abc")
    weights = {"a": 3.0, "b": 1.0, "c": 0.0}
    variants = [variant(n, w.path, weight=weights[n]) for n, w in zip("abc", (a, b, c), strict=True)]
    around.route(e=endpoint("e", *variants))
    runtime = around.runtime()

    def variants_of(count: int, **more: Any) -> Counter[str]:
        answers = (runtime.invoke_endpoint(EndpointName="e", Body=b"{}", **more) for _ in range(count))
        return Counter(answer["InvokedProductionVariant"] for answer in answers)

    seen = variants_of(200)
    assert set(seen) == {"a", "b"}
    assert 110 <= seen["a"] <= 190
    assert variants_of(5, TargetVariant="c") == {"c": 5}
    around.route(e=endpoint("e", *(one | {"weight": 0.0} for one in variants)))
    assert set(variants_of(60)) == {"a", "b", "c"}


def test_two_hundred_requests_at_once_on_one_lane_are_all_answered_in_order(inferno: Start) -> None:
    around = serving(inferno)
    (worker,) = around.workers
    worker.pause()
    clients = [around.front.client() for _ in range(200)]
    service = around.front.door.invocations
    assert service is not None
    for i, client in enumerate(clients):
        client.send(signed(json.dumps({"id": i}).encode()))
        poll(lambda i=i: waiting(around) >= i, "the request to wait")
    worker.resume()
    assert [json.loads(client.response()[2])["told"]["id"] for client in clients] == list(range(200))
    begun = [int(told) for told in worker.begun()]
    assert sorted(begun) == list(range(200))
    # The one that lies ready has a connection of its own: which of two connections is read first is the worker's.
    assert max(abs(place - number) for place, number in enumerate(begun)) <= 2


def waiting(around: Inferno) -> int:
    service = around.front.door.invocations
    assert service is not None
    endpoint = service.fleet.endpoints["e"]
    return int(around.front.on_loop(lambda: sum(_behind(variant) for variant in endpoint.variants.values())))


def _behind(variant: Variant) -> int:
    """Requests that nobody works on: in the queue, or lying ready at a worker that is busy."""
    return len(variant.waiting) + sum(max(0, len(worker.busy) - worker.lanes) for worker in variant.workers)


def test_workers_share_the_work_and_never_have_two_requests(inferno: Start) -> None:
    around = serving(inferno, workers=3)
    runtime = around.runtime(max_pool_connections=9)
    with ThreadPoolExecutor(9) as pool:
        told = {"do": "sleep", "seconds": 0.02}
        pids = Counter(answer["pid"] for answer in pool.map(lambda _: ask(runtime, told), range(90)))
    assert len(pids) == 3
    assert min(pids.values()) >= 5  # 30 each, had the machine nothing else to do


def test_more_than_may_wait_are_throttled_and_the_rest_answered(inferno: Start) -> None:
    around = serving(inferno, waiting=2)
    (worker,) = around.workers
    worker.pause()
    clients = [around.front.client().send(signed(b"{}")) for _ in range(6)]
    poll(lambda: around.counts().get("4xx") == 2, "two to be refused")
    worker.resume()
    statuses = Counter()
    for client in clients:
        status, headers, _ = client.response()
        statuses[status, headers.get("x-amzn-errortype", "")] += 1
    # One is worked on, one lies ready, two wait.
    assert statuses == {(200, ""): 4, (400, "throttlingexception"): 2}
    assert around.counts()["invocations"] == 6


def test_a_client_that_leaves_while_it_waits_is_not_asked_for(inferno: Start) -> None:
    around = serving(inferno)
    (worker,) = around.workers
    worker.pause()
    first = around.front.client().send(signed(b'{"id": "first"}'))
    poll(lambda: around.page()["outstanding"], "the first to be asked")
    ready = around.front.client().send(signed(b'{"id": "ready"}'))
    poll(lambda: waiting(around) == 1, "the second to lie ready")
    leaver = around.front.client().send(signed(b'{"id": "leaver"}'))
    poll(lambda: waiting(around) == 2, "the third to wait")
    last = around.front.client().send(signed(b'{"id": "last"}'))
    poll(lambda: waiting(around) == 3, "the fourth to wait")
    leaver.close()
    poll(lambda: waiting(around) == 2, "the third to be dropped")
    worker.resume()
    assert first.response()[0] == ready.response()[0] == last.response()[0] == 200
    assert sorted(worker.begun()) == ["first", "last", "ready"]


def test_a_client_that_leaves_in_mid_request_costs_its_worker_only_that_request(inferno: Start) -> None:
    around = serving(inferno)
    (worker,) = around.workers
    worker.pause()
    leaver = around.front.client().send(signed(b'{"id": "leaver"}'))
    poll(lambda: around.page()["outstanding"], "the request to be asked")
    leaver.close()
    poll(lambda: not around.front.door.connections, "the client to be gone")
    assert around.page()["outstanding"]
    worker.resume()
    assert ask(around.runtime(), {"id": "next"})["told"] == {"id": "next"}
    assert worker.begun() == ["leaver", "next"]
    assert around.counts()["invocations"] == 2


def test_a_slow_client_does_not_hold_up_the_worker(inferno: Start) -> None:
    around = serving(inferno)
    slow = around.front.client().send(signed(json.dumps({"do": "bytes", "count": 7_000_000}).encode()))
    slow.head()
    assert ask(around.runtime())["size"] == 2
    service = around.front.door.invocations
    assert service is not None
    # What waits for the client counts as in hand (the kernel has some of it); what it has taken does not.
    poll(lambda: 1_000_000 < service.bytes_in_hand < 7_000_000, "the answer to be counted")
    assert slow.exactly(7_000_000)
    poll(lambda: service.bytes_in_hand == 0, "the room to be given back")


def test_a_slow_sender_is_cut_off(inferno: Start) -> None:
    around = inferno(limits={"body_seconds": 0.1})
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path)))
    client = around.front.client()
    client.send(signed(b"abcdefghij")[:-7])
    status, headers, _ = client.response()
    assert (status, headers["x-amzn-errortype"]) == (408, "requesttimeout")


def test_a_client_that_takes_nothing_of_a_long_answer_is_cut_off_and_the_worker_freed(inferno: Start) -> None:
    around = inferno(limits={"stall_seconds": 0.3})
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path)))
    client = around.front.client().send(signed(json.dumps({"do": "bytes", "count": 100_000_000}).encode()))
    client.head()
    assert ask(around.runtime())["size"] == 2


# --- models that fail ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (415, "client"), (500, "server"), (302, "server")])
def test_what_the_model_refuses_is_a_model_error(inferno: Start, status: int, side: str) -> None:
    around = serving(inferno)
    response = refused(ask, around.runtime(), {"do": "error", "status": status, "text": "w\u00f6rong " + "x" * 3000})
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"].startswith("wörong xxx")
    assert len(response["OriginalMessage"].encode()) == 1024
    group = "/aws/sagemaker/Endpoints/e"
    assert response["LogStreamArn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"
    message = response["Error"]["Message"]
    assert message.startswith(f'Received {side} error ({status}) from primary with message "wörong')
    assert message.endswith(f'". See {group} in account 123456789012 for more information.')
    assert ask(around.runtime())["size"] == 2


@pytest.mark.parametrize("do", ["garble", "half", "close"])
def test_what_is_no_answer_is_a_model_error_and_not_asked_again(inferno: Start, do: str) -> None:
    around = serving(inferno)
    response = refused(ask, around.runtime(), {"do": do, "id": do})
    assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 0)
    assert ask(around.runtime())["size"] == 2
    assert around.workers[0].begun() == [do, "-"]


def test_a_model_that_takes_too_long_is_a_model_error_and_its_worker_not_asked_meanwhile(inferno: Start) -> None:
    around = inferno()
    worker = around.worker()
    around.route(e=endpoint("e", variant("AllTraffic", worker.path, timeout_seconds=0.2)))
    ask(around.runtime())
    worker.pause()
    response = refused(ask, around.runtime(), {"id": "slow"})
    assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 0)
    assert (
        "Your invocation timed out while waiting for a response from container primary." in response["OriginalMessage"]
    )
    assert around.page()["outstanding"]
    response = refused(ask, around.runtime(), {"id": "waited"})  # It lay ready, unread.
    assert "timed out" in response["OriginalMessage"]
    worker.resume()
    poll(lambda: not around.page()["outstanding"], "the worker to be free")
    around.route(e=endpoint("e", variant("AllTraffic", worker.path)))
    assert ask(around.runtime(), {"id": "next"})["size"] == 14
    assert worker.begun() == ["-", "slow", "waited", "next"]
    counts = around.counts()
    assert (counts["invocations"], counts["model_errors"], counts["5xx"]) == (4, 2, 2)


def test_a_models_own_server_that_takes_too_long_is_left(inferno: Start) -> None:
    around = inferno()
    worker = around.worker()
    around.route(e=endpoint("e", variant("AllTraffic", worker.path, lanes=2, timeout_seconds=0.2)))
    worker.pause()
    assert "timed out" in refused(ask, around.runtime())["OriginalMessage"]
    assert not around.page()["outstanding"]


def test_a_worker_that_dies_in_a_request_fails_that_request_alone(inferno: Start) -> None:
    around = serving(inferno)
    (worker,) = around.workers
    for i in range(3):
        with ThreadPoolExecutor(4) as pool:
            worker.pause()
            dying = pool.submit(refused, ask, around.runtime(), {"do": "die", "id": f"die-{i}"})
            poll(lambda: around.page()["outstanding"], "the deadly request to be asked")
            others = [pool.submit(ask, around.runtime(), {"id": f"{i}-{n}"}) for n in range(3)]
            poll(lambda: waiting(around) == 3, "the others to wait")
            worker.resume()
            response = dying.result()
            assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 0)
            assert "process ended" in response["OriginalMessage"]
            worker.spawn()
            assert {other.result()["told"]["id"] for other in others} == {f"{i}-{n}" for n in range(3)}
    assert len(worker.begun()) == len(set(worker.begun())) == 12


def test_a_worker_killed_while_idle_loses_nothing(inferno: Start) -> None:
    around = serving(inferno)
    (worker,) = around.workers
    runtime = around.runtime()
    for i in range(20):
        assert ask(runtime, {"id": i})["told"]["id"] == i
        worker.kill()
        if i % 2:
            worker.spawn()  # Else the request waits in the socket's backlog until there is another process.
            continue
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, runtime, {"id": f"after-{i}"})
            poll(lambda: around.page()["outstanding"], "the request to wait in the socket")
            worker.spawn()
            assert waiting.result()["told"]["id"] == f"after-{i}"
    assert len(worker.begun()) == len(set(worker.begun())) == 30


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_request_that_was_not_read_when_its_worker_was_killed_is_asked_again(inferno: Start, size: int) -> None:
    around = serving(inferno)
    (worker,) = around.workers
    runtime = around.runtime()
    for i in range(10):
        ask(runtime)
        worker.pause()  # Connected, but it will read nothing.
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask, runtime, {"id": i, "pad": "x" * size})
            poll(lambda: around.page()["outstanding"], "the request to be written")
            worker.kill()
            worker.spawn()
            assert asked.result()["told"]["id"] == i
    assert [line for line in worker.begun() if line != "-"] == [str(i) for i in range(10)]


def test_kills_under_load_fail_only_what_was_being_answered(inferno: Start) -> None:
    around = serving(inferno, workers=2)
    runtime = around.runtime(max_pool_connections=8)
    failed: dict[str, str] = {}
    done: list[str] = []

    def one(i: int) -> None:
        try:
            done.append(str(ask(runtime, {"id": i})["told"]["id"]))
        except ClientError as error:
            failed[str(i)] = error.response.get("OriginalMessage", str(error))

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(one, i) for i in range(2000)]
        for round_number in range(10):
            poll(lambda n=round_number: len(done) > 150 * n, "some answers")
            victim = around.workers[round_number % 2]
            victim.kill()
            victim.spawn()
        for each in asking:
            each.result()
    begun = [line for worker in around.workers for line in worker.begun()]
    assert len(begun) == len(set(begun)), "a request ran twice"
    assert len(done) + len(failed) == 2000
    assert len(failed) <= 10  # One per kill at most: a worker has one request at a time.
    assert all("process ended" in text for text in failed.values())


def test_a_replica_that_is_not_there_is_skipped_and_waited_for(inferno: Start) -> None:
    around = inferno()
    here = around.worker("here")
    around.route(e=endpoint("e", variant("AllTraffic", here.path, "endpoints/e/there")))
    runtime = around.runtime()
    assert {ask(runtime)["pid"] for _ in range(10)} == {here.process.pid if here.process else 0}
    around.route(e=endpoint("e", variant("AllTraffic", "endpoints/e/there")))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, runtime)
        poll(lambda: waiting(around) == 1, "the request to wait")
        around.worker("there")
        assert asked.result()["size"] == 2


def test_nobody_there_until_the_deadline_is_unavailable(inferno: Start) -> None:
    around = inferno()
    around.route(e=endpoint("e", variant("AllTraffic", "endpoints/e/nobody", timeout_seconds=0.3)))
    response = refused(ask, around.runtime())
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailable", 503)
    counts = around.counts()
    assert (counts["invocations"], counts["5xx"]) == (1, 1)
