"""The front door against real planes, byte by byte."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable

import pytest

from sagebrush.planes.front import splice
from tests.planes.front.running import RawClient, RunningFront

GET = b"GET /bucket/key HTTP/1.1\r\nHost: x\r\n\r\n"


def poll(question: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not question():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_target_host_and_header_values_arrive_exactly_as_sent(client: RawClient) -> None:
    target = "/b/a%20b/%C3%BC+&=~//x/../z?list-type=2&prefix=a%2Fb&x=%20+&empty"
    client.send(f"GET {target} HTTP/1.1\r\nHost: Some.Host:4600\r\nX-Amz-Meta-A:  spaced  value\r\n\r\n".encode())
    seen = client.echo()
    assert seen["raw_path"] + "?" + seen["query"] == target
    headers = dict(seen["headers"])
    assert headers["host"] == "Some.Host:4600"
    assert headers["x-amz-meta-a"] == "spaced  value"


def test_internal_headers_are_written_by_the_front_alone(client: RawClient) -> None:
    client.send(
        b"GET /b/k HTTP/1.1\r\nHost: x\r\nX-Sagebrush-Source-Ip: 6.6.6.6\r\nX-Sagebrush-Admin: yes\r\n"
        b"Connection: keep-alive, x\r\nProxy-Authorization: Basic abc\r\n\r\n"
    )
    headers = client.echo()["headers"]
    assert [v for n, v in headers if n.startswith("x-sagebrush")] == ["127.0.0.1"]
    assert not {"connection", "proxy-authorization"} & {n for n, _ in headers}


def test_a_connection_serves_many_requests_to_both_planes(front: RunningFront, client: RawClient) -> None:
    planes = []
    for number in range(20):
        extra = b"X-Amz-Target: SageMaker.ListModels\r\n" if number % 2 else b""
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + extra + b"Content-Length: 2\r\n\r\n{}")
        planes.append(client.echo()["plane"])
    assert planes == ["objects", "control"] * 10


def test_pipelined_requests_are_answered_in_order(client: RawClient) -> None:
    bodies = [b"x" * size for size in (0, 1, 70_000, 3, 200_000)]
    client.send(
        b"".join(
            b"PUT /b/%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (i, len(b)) + b
            for i, b in enumerate(bodies)
        )
    )
    answers = [client.echo() for _ in bodies]
    assert [(a["raw_path"], a["size"]) for a in answers] == [(f"/b/{i}", len(b)) for i, b in enumerate(bodies)]


def test_a_request_may_arrive_one_byte_at_a_time(client: RawClient) -> None:
    for byte in b"\r\nPUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
        client.send(bytes([byte]))
    assert client.echo()["size"] == 3


def test_chunked_bodies_and_trailers_pass_through(client: RawClient) -> None:
    payload = bytes(range(256)) * 1000
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(c), c) for c in (payload[:7], payload[7:100_000], payload[100_000:]))
    client.send(
        b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: x-amz-checksum-crc32\r\n\r\n"
        + chunks
        + b"0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n"
        + GET
    )
    seen = client.echo()
    assert (seen["size"], seen["sha256"]) == (len(payload), hashlib.sha256(payload).hexdigest())
    assert client.echo()["raw_path"] == "/bucket/key"


@pytest.mark.parametrize("in_kernel", [True, False])
def test_large_bodies_pass_in_both_directions(
    client: RawClient, in_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splice, "AVAILABLE", in_kernel and splice.AVAILABLE)
    payload = bytes(range(256)) * 40_000
    request = b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(payload) + payload
    for _ in range(2):
        sender = threading.Thread(target=client.send, args=(request,))
        sender.start()
        assert client.echo()["sha256"] == hashlib.sha256(payload).hexdigest()
        sender.join()
        client.send(b"GET /bytes/10240000 HTTP/1.1\r\nHost: x\r\n\r\n")
        status, _headers, body = client.response()
        assert (status, body) == (200, payload)


def test_a_client_that_leaves_in_the_middle_of_a_large_body_is_noticed_by_the_plane(front: RunningFront) -> None:
    client = front.client()
    client.send(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 5_000_000)
    poll(lambda: front.objects.seen)
    client.close()
    assert front.objects.disconnected.wait(10)
    poll(lambda: not front.door.connections)
    reader = front.client().send(b"GET /bytes/300000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    reader.exactly(1_000_000)
    reader.close()
    poll(lambda: not front.door.connections)
    assert front.client().send(GET).echo()["method"] == "GET"


def test_a_streamed_response_without_length_stays_chunked(client: RawClient) -> None:
    client.send(b"GET /chunks HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
    _status, headers = client.head()
    assert headers["transfer-encoding"] == "chunked"
    assert client.exactly(len(b"4\r\none,\r\n4\r\ntwo,\r\n5\r\nthree\r\n0\r\n\r\n")).endswith(b"three\r\n0\r\n\r\n")
    assert client.echo()["raw_path"] == "/bucket/key"


def test_an_old_client_gets_the_chunks_decoded_and_the_connection_closed(client: RawClient) -> None:
    client.send(b"GET /chunks HTTP/1.0\r\n\r\n")
    _status, headers = client.head()
    assert "transfer-encoding" not in headers
    assert headers["connection"] == "close"
    assert client.until_closed() == b"one,two,three"


def test_an_old_client_may_ask_to_keep_the_connection(client: RawClient) -> None:
    for _ in range(2):
        client.send(b"GET /b/k HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        _status, headers, _ = client.response()
        assert headers["connection"] == "keep-alive"


def test_head_204_and_304_have_no_body(client: RawClient) -> None:
    client.send(b"HEAD /bytes/5000 HTTP/1.1\r\nHost: x\r\n\r\n")
    _status, headers = client.head()
    assert headers["content-length"] == "5000"
    client.send(b"DELETE /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.head()[0] == 204
    client.send(GET)
    assert client.echo()["method"] == "GET"


def test_continue_comes_from_the_plane_and_only_then_the_body(client: RawClient) -> None:
    client.send(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert client.head()[0] == 100
    client.send(b"hello")
    assert client.echo()["size"] == 5
    client.send(GET)
    assert client.echo()["method"] == "GET"


def test_a_refusal_instead_of_continue_closes_the_connection(client: RawClient) -> None:
    client.send(b"PUT /early HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\nExpect: 100-continue\r\n\r\n")
    status, headers, body = client.response()
    assert (status, headers["connection"], body) == (403, "close", b"no")
    assert client.until_closed() == b""


def test_an_early_answer_reaches_a_client_that_is_still_sending(client: RawClient) -> None:
    client.send(b"PUT /early HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n")
    for _ in range(30):
        client.send(b"z" * 1_000_000)
    status, headers, body = client.response()
    assert (status, headers["connection"], body) == (403, "close", b"no")


def test_connection_close_is_honoured(client: RawClient) -> None:
    client.send(b"GET /b/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    _status, headers, _ = client.response()
    assert headers["connection"] == "close"
    assert client.until_closed() == b""


def test_headers_beyond_the_limit_are_431(client: RawClient) -> None:
    client.send(b"GET /b/k HTTP/1.1\r\nHost: x\r\nX-Amz-Target: A.B\r\n")
    client.send(b"X-Long: " + b"a" * 70_000)
    status, headers, body = client.response()
    assert status == 431
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert b"RequestHeaderSectionTooLarge" in body


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_never_reaches_a_plane(
    front: RunningFront, client: RawClient, head: bytes
) -> None:
    client.send(head)
    status, headers, body = client.response()
    assert (status, headers["connection"]) == (400, "close")
    assert b"<Code>BadRequest</Code>" in body
    assert client.until_closed() == b""
    assert front.objects.seen == front.control.seen == []


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"5\nhello\r\n", b"3\r\nabcdef\r\n", b"1" * 20_000, b"-3\r\n"])
def test_a_broken_chunked_body_is_an_error_and_the_plane_is_told(
    front: RunningFront, client: RawClient, chunk: bytes
) -> None:
    client.send(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
    assert client.response()[0] == 400
    other = front.client()
    assert other.send(GET).echo()["raw_path"] == "/bucket/key"
    other.close()


def test_a_client_that_leaves_is_noticed_by_the_plane(front: RunningFront) -> None:
    client = front.client().send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    poll(lambda: front.objects.seen)
    client.close()
    assert front.objects.disconnected.wait(10)
    poll(lambda: not front.door.connections)


def test_a_truncated_response_is_not_passed_off_as_whole(client: RawClient) -> None:
    client.send(b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n")
    _status, headers = client.head()
    assert headers["content-length"] == "1000"
    with pytest.raises((AssertionError, ConnectionResetError)):
        client.exactly(1000)


def test_slow_headers_time_out(start_front: Callable[..., RunningFront]) -> None:
    client = start_front(head_seconds=0.1).client().send(b"GET / HTTP/1.1\r\nHost:")
    assert client.response()[0] == 408
    client.close()


def test_a_silent_body_times_out(start_front: Callable[..., RunningFront]) -> None:
    client = start_front(body_seconds=0.1).client()
    client.send(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    status, _, body = client.response()
    assert (status, b"RequestTimeout" in body) == (408, True)
    client.close()


def test_a_client_that_reads_nothing_is_cut_off_and_memory_stays_bounded(
    start_front: Callable[..., RunningFront],
) -> None:
    front = start_front(stall_seconds=0.2)
    client = front.client().send(b"GET /bytes/300000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    poll(lambda: front.door.connections)
    (connection,) = front.door.connections
    poll(lambda: connection.exchange is not None and connection.exchange.waits_for_client())
    assert connection.transport.get_write_buffer_size() < 2_000_000
    poll(lambda: not front.door.connections)
    with pytest.raises((AssertionError, ConnectionResetError)):
        client.exactly(300_000_000)


def test_an_idle_connection_is_closed(start_front: Callable[..., RunningFront]) -> None:
    client = start_front(idle_seconds=0.1, head_seconds=0.2).client().send(GET)
    client.echo()
    assert client.until_closed() == b""


def test_requests_wait_for_a_plane_that_restarts_and_none_is_lost(front: RunningFront) -> None:
    front.objects.stop()
    clients = [front.client() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(b"PUT /b/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" % number)
    poll(lambda: len(front.door.connections) == 20)
    front.objects.start()
    assert [c.echo()["raw_path"] for c in clients] == [f"/b/{n}" for n in range(20)]


def test_a_kept_connection_to_a_restarted_plane_is_replaced_unseen(front: RunningFront, client: RawClient) -> None:
    for round_number in range(3):
        client.send(b"POST /b/%d?uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" % round_number)
        assert client.echo()["size"] == 4
        front.objects.stop()
        front.objects.start()


def test_a_plane_that_stays_away_is_a_503_in_the_clients_own_shape(start_front: Callable[..., RunningFront]) -> None:
    front = start_front(hold_seconds=0.1)
    front.control.stop()
    front.objects.stop()
    requests = {
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: SageMaker.ListModels\r\nContent-Length: 2\r\n\r\n{}": b'"__type"',
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n": b"<ErrorResponse>",
        GET: b"</RequestId></Error>",
    }
    for request, shape in requests.items():
        client = front.client().send(request)
        status, headers, body = client.response()
        assert (status, headers["retry-after"]) == (503, "2")
        assert shape in body
        assert b"ServiceUnavailable" in body
        client.close()
    client = front.client().send(b"HEAD /b/k HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.head()[0] == 503
    assert client.until_closed() == b""
    front.control.start()
    front.objects.start()


def test_stopping_lets_the_current_exchange_end_and_accepts_no_more(start_front: Callable[..., RunningFront]) -> None:
    front = start_front()
    idle, busy = front.client().send(GET), front.client().send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    idle.echo()
    poll(lambda: "/wait" in front.objects.seen)
    future = asyncio.run_coroutine_threadsafe(front.door.stop(grace_seconds=10), front.loop)
    assert idle.until_closed() == b""
    front.objects.gate.set()
    _status, headers, body = busy.response()
    assert (body, headers["connection"]) == (b"waited", "close")
    future.result(10)
    with pytest.raises(OSError, match=r"."):
        socket.create_connection(("127.0.0.1", front.port), timeout=2).close()


def test_source_address_of_the_answering_front_is_a_request_id_of_its_own(client: RawClient) -> None:
    client.send(b"bad\r\n\r\n")
    _, headers, _ = client.response()
    assert re.fullmatch(r"[0-9a-f]{32}", headers["x-amzn-requestid"])
