"""The front door's pure parts: routing as a table; framing and heads against any bytes."""

from __future__ import annotations

import contextlib

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagebrush.planes.front.framing import BadBody, ChunkedBody, LengthBody
from sagebrush.planes.front.heads import BadHead, parse_request_head, parse_response_head
from sagebrush.planes.front.invocations.answer import Answer
from sagebrush.planes.front.routing import invoked_endpoint, plane_of

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=ab"


@pytest.mark.parametrize(
    ("request_line", "headers", "plane"),
    [
        ("POST /", ["X-Amz-Target: SageMaker.CreateModel"], "control"),
        ("POST /", ["X-AMZ-TARGET: Logs_20140328.GetLogEvents", f"Authorization: {SIGNED.format('s3')}"], "control"),
        ("GET /bucket", [f"Authorization: {SIGNED.format('s3')}"], "objects"),
        ("PUT /endpoints/key", [f"Authorization: {SIGNED.format('s3')}"], "objects"),
        ("POST /endpoints/e/invocations", [f"Authorization: {SIGNED.format('sagemaker')}"], "control"),
        ("POST /", [f"Authorization: {SIGNED.format('iam')}"], "control"),
        ("GET /b/k", ["Authorization: AWS AKIA:signature"], "objects"),
        ("GET /b/k?X-Amz-Credential=A%2F20261122%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0", [], "objects"),
        ("GET /?Action=GetCallerIdentity&X-Amz-Credential=A%2f2%2fr%2fsts%2faws4_request", [], "control"),
        ("GET /b/k?AWSAccessKeyId=A&Signature=x&Expires=1", [], "objects"),
        ("POST /", ["Content-Type: application/x-www-form-urlencoded; charset=utf-8"], "control"),
        ("POST /bucket", ["Content-Type: multipart/form-data; boundary=x"], "objects"),
        ("GET /?Action=GetCallerIdentity&Version=2011-06-15", [], "control"),
        ("GET /b?prefix=Action=X", [], "objects"),
        ("GET /_sagebrush/health", [], "control"),
        ("POST /endpoints/name/invocations", [], "control"),
        ("GET /endpoints/name/invocations/more", [], "objects"),
        ("POST /service/X/operation/Y", ["smithy-protocol: rpc-v2-cbor"], "control"),
        ("GET /bucket/key", [], "objects"),
        ("OPTIONS /bucket/key", ["Origin: http://x"], "objects"),
        ("GET /b", ["Authorization: AWS4-HMAC-SHA256 nonsense"], "objects"),
    ],
)
def test_the_plane_of_a_request(request_line: str, headers: list[str], plane: str) -> None:
    raw = "\r\n".join([f"{request_line} HTTP/1.1", "Host: x", *headers, "", ""]).encode()
    assert plane_of(parse_request_head(raw)) == plane


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_head_parsers(data: bytes) -> None:
    for raw in (data + b"\r\n\r\n", b"GET /" + data + b" HTTP/1.1\r\n" + data + b"\r\n\r\n"):
        with contextlib.suppress(BadHead):
            assert plane_of(parse_request_head(raw)) in ("control", "objects")
        with contextlib.suppress(BadHead):
            parse_response_head(raw)


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=6),
    st.binary(max_size=40),
    st.lists(st.integers(1, 50), max_size=200),
)
def test_a_chunked_body_ends_exactly_where_it_ends(chunks: list[bytes], after: bytes, cuts: list[int]) -> None:
    body = b"".join(b"%X\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\nx-trailer: y\r\n\r\n"
    tracker, stream, used = ChunkedBody(decode=True), body + after, 0
    for cut in [*cuts, len(stream)]:
        if tracker.done or used == len(stream):
            break
        used += tracker.take(stream[used : used + cut])
    while not tracker.done:
        used += tracker.take(stream[used:])
    assert used == len(body)
    assert tracker.decoded == b"".join(chunks)


@given(st.binary(max_size=500))
def test_no_bytes_crash_the_body_trackers(data: bytes) -> None:
    tracker = ChunkedBody()
    with contextlib.suppress(BadBody):
        assert 0 <= tracker.take(data) <= len(data)


@given(st.integers(0, 300), st.binary(max_size=400))
def test_a_body_of_known_length_takes_exactly_that(length: int, data: bytes) -> None:
    tracker = LengthBody(length)
    assert tracker.take(data) == min(length, len(data))
    assert tracker.done == (len(data) >= length)


class Seen:
    """What httptools itself says about a head."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


header_names = st.sampled_from([b"Host", b"host", b"X-A", b"Content-Type", b"Accept", b"x"])
header_values = st.binary(max_size=12) | st.sampled_from(
    [b"", b" ", b"  a  ", b"\ta\t", b"a: b", b"a \t b ", b":", b" : "]
)


@given(st.lists(st.tuples(header_names, header_values), max_size=6), st.binary(max_size=8))
def test_headers_are_what_llhttp_says_they_are(headers: list[tuple[bytes, bytes]], extra: bytes) -> None:
    lines = b"".join(b"%b:%b\r\n" % header for header in headers)
    raw = b"POST /x HTTP/1.1\r\n" + lines + extra + b"\r\n\r\n"
    raw = raw[: raw.index(b"\r\n\r\n") + 4]
    try:
        head = parse_request_head(raw)
    except BadHead:
        return
    seen = Seen()
    with contextlib.suppress(httptools.HttpParserUpgrade):
        httptools.HttpRequestParser(seen).feed_data(raw)
    assert head.headers == [(name, value.strip(b" \t")) for name, value in seen.headers]
    joined: dict[bytes, list[bytes]] = {}
    for name, value in head.headers:
        joined.setdefault(name.lower(), []).append(value)
    assert head.joined == {name: b",".join(values) for name, values in joined.items()}
    assert head.names == {name: values[-1] for name, values in joined.items()}


@pytest.mark.parametrize(
    ("line", "authorization", "invoked"),
    [
        ("POST /endpoints/e/invocations", SIGNED.format("sagemaker"), ("e", False)),
        ("POST /endpoints/e/invocations", "", ("e", False)),
        ("POST /endpoints/a%20b/invocations?x=1", "", ("a b", False)),
        ("POST /endpoints/e/invocations-response-stream", SIGNED.format("sagemaker"), ("e", True)),
        ("POST /endpoints/a%20b/invocations-response-stream?x=1", "", ("a b", True)),
        ("POST /endpoints/e/invocations-response-stream", SIGNED.format("s3"), None),
        ("POST /endpoints/e/invocations-response-streams", "", None),
        ("POST /endpoints/e/invocations", SIGNED.format("s3"), None),
        ("GET /endpoints/e/invocations", "", None),
        ("POST /endpoints/e/invocations/", "", None),
        ("POST /endpoints/e/f/invocations", "", None),
        ("POST /endpoints//invocations", "", None),
        ("POST /endpoints/e/async-invocations", "", None),
        ("POST /endpoints/e/invocations?X-Amz-Credential=A%2F2%2Fr%2Fs3%2Faws4_request", "", None),
    ],
)
def test_the_endpoint_that_is_invoked(line: str, authorization: str, invoked: tuple[str, bool] | None) -> None:
    given_ = f"Authorization: {authorization}\r\n" if authorization else ""
    assert invoked_endpoint(parse_request_head(f"{line} HTTP/1.1\r\nHost: x\r\n{given_}\r\n".encode())) == invoked


ANSWERS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", True),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", True),
    (b"HTTP/1.1 204 No\r\n\r\n", b"", True),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", b"he", False),
]


@given(st.sampled_from(ANSWERS), st.lists(st.integers(1, 30), max_size=60))
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(case: tuple[bytes, bytes, bool], cuts: list[int]) -> None:
    data, body, reusable = case
    answer, at = Answer(), 0
    for cut in [*cuts, len(data)]:
        if at < len(data):
            answer.feed(data[at : at + cut])
            at += cut
    assert (answer.done, answer.body, answer.reusable) == (True, body, reusable)


@given(st.lists(st.integers(1, 30), max_size=60))
def test_a_failure_after_the_last_chunk_is_read_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    data = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n0\r\n"
        b"X-Other: 1\r\nX-Sagebrush-Failure:  KeyError: no (inference.py:3)\r\n\r\n"
    )
    answer, at = Answer(), 0
    for cut in [*cuts, len(data)]:
        if at < len(data):
            assert answer.failure is None
            answer.feed(data[at : at + cut])
            at += cut
    assert (answer.done, answer.body, answer.failure) == (True, b"begun", b"KeyError: no (inference.py:3)")


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader_of_answers(data: bytes) -> None:
    for raw in (data, b"HTTP/1.1 200 OK\r\n" + data, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data):
        answer = Answer()
        with contextlib.suppress(BadHead, BadBody):
            answer.feed(raw)
            answer.feed(data)
            answer.ended()
