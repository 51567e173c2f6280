"""InvokeEndpointWithResponseStream through a real front door: parts as they come, and every way a stream can end."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from sagebrush.substrate.wire.event_messages import EventDecoder, EventMessage
from tests.planes.front.invoking import JSON, KEY, Inferno, endpoint, poll, signed, variant
from tests.planes.front.test_invocations import ask, refused, serving

Start = Callable[..., Inferno]
OPERATION = "invocations-response-stream"


#: Their connections are closed after the test: boto3 keeps those of streams that were not read to the end.
begun: list[Any] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while begun:
        begun.pop()["Body"].close()


def begin(runtime: Any, told: Any, **more: Any) -> Any:
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="e", Body=json.dumps({"do": "stream"} | told), ContentType=JSON, **more
    )
    begun.append(answer)
    return answer


def parts_of(answer: Any) -> list[bytes]:
    return [event["PayloadPart"]["Bytes"] for event in answer["Body"]]


def raw(body: Any, **more: str) -> bytes:
    return signed(json.dumps({"do": "stream"} | body).encode(), operation=OPERATION, **more)


def own_server(around: Inferno) -> Inferno:
    """The worker's socket as that of a server that the model brought: many requests at once."""
    described = variant("AllTraffic", *(w.path for w in around.workers))
    described["replicas"][0]["lanes"] = 10
    around.route(e=endpoint("e", described))
    return around


def free(around: Inferno) -> Callable[[], bool]:
    return lambda: not around.page()["outstanding"]


# --- what goes well --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True], ids=["our-worker", "own-server"])
def test_parts_arrive_while_the_model_still_makes_the_next(inferno: Start, short_dir: Path, own: bool) -> None:
    around = serving(inferno)
    if own:
        own_server(around)
    gate = short_dir / "gate"
    told = {"parts": ["one ", "two"], "gates": ["", str(gate)], "type": "text/event-stream"}
    answer = begin(around.runtime(), told)
    assert answer["ContentType"] == "text/event-stream"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "from the model"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
    events = iter(answer["Body"])
    assert next(events) == {"PayloadPart": {"Bytes": b"one "}}
    gate.touch()  # Only now the model goes on.
    assert next(events) == {"PayloadPart": {"Bytes": b"two"}}
    assert list(events) == []
    assert around.counts() | {"overhead_latency_us": 1} == {
        "invocations": 1,
        "4xx": 0,
        "5xx": 0,
        "model_errors": 0,
        "capture_dropped": 0,
        "model_latency_us": 1,
        "overhead_latency_us": 1,
    }


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"do": "bytes", "count": 2}, b"bb"),
        ({"do": "bytes", "count": 7_000_000}, b"b" * 7_000_000),
        ({"do": "chunked", "count": 50}, b"c" * 65536 * 50),
        ({"do": "endless"}, b"until the end"),
        ({"do": "bytes", "count": 0}, b""),
        ({"parts": ["x", "y", "z"], "plain": True}, b"xyz"),
        ({"parts": [3_000_000, "!"]}, b"p" * 3_000_000 + b"!"),
        ({"parts": []}, b""),
    ],
)
def test_every_answer_of_a_model_is_a_stream_of_parts_of_a_megabyte_at_most(
    inferno: Start, told: Any, expected: bytes
) -> None:
    runtime = serving(inferno).runtime()
    for _ in range(2):
        parts = parts_of(begin(runtime, told))
        assert b"".join(parts) == expected
        assert max(map(len, parts), default=0) <= 1_000_000
        assert all(parts)
    assert ask(runtime)["size"] == 2


def test_the_model_sees_what_the_client_sent(inferno: Start) -> None:
    runtime = serving(inferno).runtime()
    for _ in range(3):  # The second and the third are known by the first.
        answer = begin(runtime, {"do": "echo"}, Accept="text/csv", CustomAttributes="trace=1", InferenceId="mine")
        (part,) = parts_of(answer)
        seen = json.loads(part)
        assert seen["line"] == "POST /invocations HTTP/1.1"
        assert seen["headers"] == {
            "host": "localhost",
            "content-length": str(len(json.dumps({"do": "echo"}))),
            "content-type": JSON,
            "accept": "text/csv",
            "x-amzn-sagemaker-custom-attributes": "trace=1",
            "x-amzn-sagemaker-inference-id": "mine",
        }


def test_streams_and_plain_answers_alternate_on_one_connection(inferno: Start) -> None:
    runtime = serving(inferno).runtime(max_pool_connections=1)
    for _ in range(4):
        assert parts_of(begin(runtime, {"parts": ["a"]})) == [b"a"]
        answer = runtime.invoke_endpoint(EndpointName="e", Body=json.dumps({"do": "stream", "parts": ["a", "b"]}))
        assert answer["Body"].read() == b"ab"


def test_clients_that_end_their_connection_and_old_ones_get_all_of_it(inferno: Start) -> None:
    around = serving(inferno)
    closing = around.front.client().send(raw({"parts": ["x"]}, Connection="close"))
    _, headers = closing.head()
    assert (headers["transfer-encoding"], headers["connection"]) == ("chunked", "close")
    assert closing.until_closed().endswith(b"0\r\n\r\n")
    old = around.front.client().send(raw({"parts": ["x", "y"]}).replace(b" HTTP/1.1", b" HTTP/1.0", 1))
    status, headers = old.head()
    assert status == 200
    assert "transfer-encoding" not in headers
    assert b"".join(message.payload for message in messages(old.until_closed())) == b"xy"


def messages(data: bytes) -> list[EventMessage]:
    decoder = EventDecoder()
    decoder.feed(data)
    found = []
    while (message := decoder.next()) is not None:
        found.append(message)
    decoder.end()
    return found


# --- who may ---------------------------------------------------------------------------------------------------------


def test_the_right_to_stream_is_one_of_its_own(inferno: Start) -> None:
    around = serving(inferno)
    runtime = around.runtime()
    ask(runtime)
    parts_of(begin(runtime, {"parts": ["x"]}))
    assert [question["action"] for question in around.control.asked] == [
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
    ]
    around.control.denied.add(KEY)
    around.control.secrets["AKIDOTHER"] = around.control.secrets[KEY]
    around.control.denied.add("AKIDOTHER")
    response = refused(begin, around.runtime(key="AKIDOTHER"), {"parts": ["x"]})
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDeniedException", 403)
    assert "sagemaker:InvokeEndpointWithResponseStream" in response["Error"]["Message"]
    assert refused(begin, around.runtime(secret="wrong"), {})["Error"]["Code"] == "InvalidSignatureException"


# --- before the first byte -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "status", "message"),
    [
        ({"do": "error", "status": 418, "text": "short and stout"}, 418, "short and stout"),
        ({"do": "garble"}, 0, "not HTTP"),
        ({"do": "die"}, 0, "process ended"),
        ({"parts": ["short ", "and stout"], "status": 418}, 418, "short and stout"),
        ({"parts": ["short"], "status": 418, "end": "KeyError"}, 418, "short"),
        ({"parts": [], "end": "KeyError: 'x' (inference.py:3 in output_fn)"}, 500, "inference.py:3"),
    ],
)
def test_what_fails_before_the_first_byte_is_an_ordinary_error(
    inferno: Start, told: Any, status: int, message: str
) -> None:
    around = serving(inferno)
    response = refused(begin, around.runtime(), told)
    assert response["Error"]["Code"] == "ModelError"
    assert message in response["OriginalMessage"]
    assert response["OriginalStatusCode"] == status
    counts = around.counts()
    assert (counts["invocations"], counts["model_errors"]) == (1, 1)


def test_what_is_not_there_is_told_as_to_any_caller(inferno: Start) -> None:
    around = serving(inferno)
    runtime = around.runtime()
    with pytest.raises(ClientError, match="Endpoint other of account") as caught:
        runtime.invoke_endpoint_with_response_stream(EndpointName="other", Body=b"{}")
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert refused(begin, runtime, {}, InferenceComponentName="c")["Error"]["Code"] == "ValidationError"
    assert refused(begin, runtime, {}, TargetVariant="v")["Error"]["Code"] == "ValidationError"


# --- after it --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("break", "process ended"),
        ("die", "process ended"),
        ("ValueError: no more tokens (inference.py:7 in output_fn)", "inference.py:7 in output_fn"),
    ],
)
def test_a_model_that_breaks_off_is_the_last_event(inferno: Start, end: str, message: str) -> None:
    around = serving(inferno)
    runtime = around.runtime()
    events = iter(begin(runtime, {"parts": ["begun "], "end": end})["Body"])
    assert next(events) == {"PayloadPart": {"Bytes": b"begun "}}
    with pytest.raises(EventStreamError, match=message) as caught:
        next(events)
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    if end == "die":
        around.workers[0].spawn()
    assert ask(runtime)["size"] == 2
    counts = around.counts()
    assert (counts["invocations"], counts["model_errors"], counts["5xx"]) == (2, 1, 1)


def test_the_exception_has_the_code_that_aws_documents(inferno: Start) -> None:
    around = serving(inferno)
    client = around.front.client().send(raw({"parts": ["x"], "end": "break"}).replace(b"/1.1", b"/1.0", 1))
    client.head()
    part, exception = messages(client.until_closed())
    assert part.headers == {
        ":message-type": "event",
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
    }
    assert (exception.headers[":message-type"], exception.headers[":exception-type"]) == (
        "exception",
        "ModelStreamError",
    )
    assert json.loads(exception.payload)["ErrorCode"] == "StreamBroken"


def test_a_failure_that_a_worker_tells_is_an_error_of_plain_invocations_too(inferno: Start) -> None:
    around = serving(inferno)
    told = {"do": "stream", "parts": ["begun "], "end": "ValueError: enough"}
    response = refused(ask, around.runtime(), told)
    assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 500)
    assert response["OriginalMessage"] == "ValueError: enough"


@pytest.mark.parametrize("own", [False, True], ids=["our-worker", "own-server"])
def test_a_stream_that_takes_too_long_ends_for_the_client_and_for_the_worker(inferno: Start, own: bool) -> None:
    around = serving(inferno, stream_seconds=0.5)
    if own:
        own_server(around)
    (worker,) = around.workers
    events = iter(begin(around.runtime(), {"parts": ["begun"], "end": "wait"})["Body"])
    assert next(events)
    with pytest.raises(EventStreamError, match=r"within 0\.5 seconds") as caught:
        next(events)
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    poll(lambda: "hung-up" in worker.begun(), "the worker to be told")
    poll(free(around), "the worker to be free")
    assert ask(around.runtime())["size"] == 2
    counts = around.counts()
    assert (counts["invocations"], counts["model_errors"]) == (2, 1)


def test_a_model_that_takes_too_long_for_its_first_byte_is_a_model_error(inferno: Start) -> None:
    around = serving(inferno, stream_seconds=0.3)
    response = refused(begin, around.runtime(), {"parts": [], "end": "wait"})
    assert response["Error"]["Code"] == "ModelError"
    assert "timed out" in response["OriginalMessage"]
    poll(lambda: "hung-up" in around.workers[0].begun(), "the worker to be told")


# --- clients that leave, and clients that do not read ----------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True], ids=["our-worker", "own-server"])
@pytest.mark.parametrize("parts", [["begun"], []], ids=["in-the-middle", "before-the-first-byte"])
def test_a_client_that_leaves_frees_the_worker(inferno: Start, parts: list[str], own: bool) -> None:
    around = serving(inferno)
    if own:
        own_server(around)
    (worker,) = around.workers
    client = around.front.client().send(raw({"parts": parts, "end": "wait"}))
    poll(lambda: "waits" in worker.begun(), "the model to wait")
    if parts:
        client.head()
    client.close()
    poll(lambda: "hung-up" in worker.begun(), "the worker to be told")
    poll(free(around), "the worker to be free")
    assert ask(around.runtime())["size"] == 2
    counts = around.counts()
    assert (counts["invocations"], counts["model_errors"], counts["5xx"]) == (2, 0, 0)


@pytest.mark.parametrize("operation", ["invocations", OPERATION])
def test_an_answer_without_an_end_ends_with_its_client(inferno: Start, operation: str) -> None:
    around = serving(inferno)
    (worker,) = around.workers
    told = {"do": "stream", "parts": ["begun"], "end": "forever"}
    client = around.front.client().send(signed(json.dumps(told).encode(), operation=operation))
    poll(lambda: "waits" in worker.begun(), "the model to go on and on")
    client.close()
    poll(lambda: "hung-up" in worker.begun(), "the worker to be told")
    poll(free(around), "the worker to be free")
    assert ask(around.runtime())["size"] == 2


def test_an_answer_without_an_end_is_not_awaited_for_longer_than_any(inferno: Start) -> None:
    around = serving(inferno)
    (worker,) = around.workers
    around.route(e=endpoint("e", variant("AllTraffic", worker.path, timeout_seconds=0.5)))
    response = refused(ask, around.runtime(), {"do": "stream", "parts": ["begun"], "end": "forever"})
    assert response["Error"]["Code"] == "ModelError"
    assert "timed out" in response["OriginalMessage"]
    poll(lambda: "hung-up" in worker.begun(), "the worker to be told")
    poll(free(around), "the worker to be free")


def test_a_client_that_reads_slowly_holds_the_model_back_and_costs_no_memory(inferno: Start) -> None:
    around = serving(inferno)
    count, size = 64, 1 << 20
    client = around.front.client()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.send(raw({"parts": [size] * count, "end": "wait"}).replace(b"/1.1", b"/1.0", 1))
    client.head()
    service = around.front.door.invocations
    assert service is not None

    def stalled() -> bool:
        return any(c.stalled for c in around.front.door.connections)

    poll(stalled, "the client to be waited for")
    (connection,) = around.front.door.connections
    waiting = around.front.on_loop(connection.transport.get_write_buffer_size)
    assert 0 < waiting < 4 * size
    assert "waits" not in around.workers[0].begun()  # It has not got rid of its parts.
    taken = client.exactly(count * size)
    assert len(taken) == count * size
    poll(lambda: "waits" in around.workers[0].begun(), "the last part to be taken")
    client.close()
    poll(free(around), "the worker to be free")
    assert service.bytes_in_hand == 0


def test_a_client_that_takes_nothing_is_cut_off_and_the_worker_freed(inferno: Start) -> None:
    around = inferno(limits={"stall_seconds": 0.3})
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path)))
    client = around.front.client().send(raw({"parts": [1 << 20] * 64, "end": "wait"}))
    client.head()
    poll(free(around), "the worker to be free")
    assert ask(around.runtime())["size"] == 2


def test_a_long_stream_does_not_hold_its_request_in_memory(inferno: Start) -> None:
    around = serving(inferno)
    client = around.front.client().send(raw({"parts": ["x"], "end": "wait", "much": "y" * 1_000_000}))
    client.head()
    service = around.front.door.invocations
    assert service is not None
    assert service.bytes_in_hand == 0
    client.close()
    poll(free(around), "the worker to be free")


def test_a_front_door_that_ends_says_so(inferno: Start) -> None:
    around = serving(inferno)
    events = iter(begin(around.runtime(), {"parts": ["begun"], "end": "wait"})["Body"])
    assert next(events)
    around.front.stop(grace_seconds=0.1)
    around.front.stop = lambda: None  # type: ignore[method-assign,assignment]
    with pytest.raises(EventStreamError, match="restarted") as caught:
        next(events)
    assert caught.value.response["Error"]["Code"] == "InternalStreamFailure"
