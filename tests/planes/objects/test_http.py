"""The plane as an HTTP server: framing, streaming, connections."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.aws.s3.errors import refused
from tests.aws.s3.running import RunningPlane, start_plane
from tests.planes.objects.signing import send, signed_headers

MEBIBYTE = 1 << 20
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def eventually(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not question():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.02)


def test_every_answer_says_who_and_which(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"data")
    headers = s3.get_object(Bucket=bucket, Key="key")["ResponseMetadata"]["HTTPHeaders"]
    assert len(headers["x-amz-request-id"]) == 16
    assert headers["x-amz-id-2"]
    assert headers["server"] == "Sagebrush"
    assert "date" in headers


def test_head_has_the_length_and_no_body(plane: RunningPlane, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"data")
    path = f"/{bucket}/key"
    connection = http.client.HTTPConnection("127.0.0.1", plane.port)
    for _ in range(2):  # on one connection: a body would spoil the second answer
        connection.request("HEAD", path, headers=signed_headers(plane, "HEAD", path))
        response = connection.getresponse()
        assert (response.status, response.getheader("content-length"), response.read()) == (200, "4", b"")
    missing = f"/{bucket}/missing"
    connection.request("HEAD", missing, headers=signed_headers(plane, "HEAD", missing))
    response = connection.getresponse()
    assert (response.status, response.read()) == (404, b"")
    connection.close()


def test_a_client_that_waits_for_100_is_told_to_go_on_or_not(plane: RunningPlane, bucket: str) -> None:
    body = b"x" * (2 * MEBIBYTE)
    for who, expected in (("operator", b"HTTP/1.1 100 Continue"), ("reader", b"HTTP/1.1 403 Forbidden")):
        path = f"/{bucket}/waiting"
        headers = signed_headers(plane, "PUT", path, body=body, who=who, expect="100-continue")
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{plane.port}\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "Content-Length")
        with socket.create_connection(("127.0.0.1", plane.port), timeout=20) as connection:
            connection.sendall(head.encode() + b"\r\n")
            answer = connection.recv(4096)
            assert answer.startswith(expected)
            if who == "operator":
                connection.sendall(body)
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK")
            else:
                assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("size", [1000, 3 * MEBIBYTE], ids=["small", "big"])
def test_chunked_uploads_with_a_trailing_checksum(plane: RunningPlane, s3: Any, bucket: str, size: int) -> None:
    data = os.urandom(size)
    checksum = base64.b64encode(zlib.crc32(data).to_bytes(4, "big"))
    path = f"/{bucket}/chunked"

    def put(trailer: bytes, length: int) -> tuple[int, bytes]:
        chunks = [data[start : start + 70_000] for start in range(0, len(data), 70_000)]
        framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        framed += b"0\r\nx-amz-checksum-crc32:" + trailer + b"\r\n\r\n"
        headers = signed_headers(
            plane,
            "PUT",
            path,
            payload=UNSIGNED_TRAILER,
            content_encoding="aws-chunked,gzip",
            x_amz_trailer="x-amz-checksum-crc32",
            x_amz_decoded_content_length=str(length),
        )
        answer = send(plane, "PUT", path, headers | {"Content-Length": str(len(framed))}, framed)
        return answer.status, answer.body

    assert put(checksum, len(data))[0] == 200
    got = s3.get_object(Bucket=bucket, Key="chunked", ChecksumMode="ENABLED")
    assert got["Body"].read() == data
    assert (got["ContentEncoding"], got["ChecksumCRC32"]) == ("gzip", checksum.decode())
    status, body = put(base64.b64encode(b"0000"), len(data))
    assert status == 400
    assert b"<Code>BadDigest</Code>" in body
    status, body = put(checksum, len(data) + 1)
    assert status == 400
    assert b"<Code>IncompleteBody</Code>" in body


def test_a_body_that_is_not_what_was_signed_is_refused(plane: RunningPlane, s3: Any, bucket: str) -> None:
    for size in (100, 2 * MEBIBYTE):
        body = os.urandom(size)
        headers = signed_headers(plane, "PUT", f"/{bucket}/key", body=body)
        answer = send(plane, "PUT", f"/{bucket}/key", headers, body[::-1])
        assert answer.status == 400
        assert b"<Code>XAmzContentSHA256Mismatch</Code>" in answer.body
    assert refused(s3.head_object, Bucket=bucket, Key="key") == (404, "404")


def test_a_put_without_a_length_is_refused(plane: RunningPlane, bucket: str) -> None:
    headers = signed_headers(plane, "PUT", f"/{bucket}/key", payload="UNSIGNED-PAYLOAD")
    # With the header given, http.client leaves the framing to us.
    chunks = iter([b"4\r\nsome\r\n", b"4\r\ndata\r\n", b"0\r\n\r\n"])
    answer = send(plane, "PUT", f"/{bucket}/key", headers | {"Transfer-Encoding": "chunked"}, chunks)
    assert answer.status == 411
    assert b"<Code>MissingContentLength</Code>" in answer.body


def test_buckets_may_lead_the_host_name(plane: RunningPlane, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"data")
    virtual = plane.client(s3={"addressing_style": "virtual"})
    url = virtual.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/b"})
    assert url.startswith(f"http://127.0.0.1:{plane.port}/{bucket}")  # an address has no sub-domains
    host = f"{bucket}.localhost:{plane.port}"
    open_plane_headers = {"Host": host}
    answer = send(plane, "GET", "/a/b", open_plane_headers)
    # Routed to the object, and refused because nothing is signed: not "NoSuchBucket: a".
    assert answer.status == 403
    assert b"<Code>AccessDenied</Code>" in answer.body


def test_methods_and_paths_that_mean_nothing_are_refused_in_xml(plane: RunningPlane, bucket: str) -> None:
    for method, path, status, code in (
        ("PATCH", f"/{bucket}/key", 405, b"MethodNotAllowed"),
        ("POST", f"/{bucket}/key", 405, b"MethodNotAllowed"),
        ("PUT", "/", 405, b"MethodNotAllowed"),
        ("GET", f"/{bucket}/%ff%fe", 400, b"InvalidURI"),
    ):
        answer = send(plane, method, path, signed_headers(plane, method, path))
        assert (answer.status, answer.headers["content-type"]) == (status, "application/xml")
        assert b"<Code>" + code + b"</Code>" in answer.body


def test_a_client_that_goes_away_leaves_nothing(plane: RunningPlane, s3: Any, bucket: str) -> None:
    files = Path(plane.log).parent / "objects" / "files"

    def lying() -> int:
        return sum(1 for path in files.rglob("*") if path.is_file())

    before = lying()
    path = f"/{bucket}/half"
    body = b"x" * (8 * MEBIBYTE)
    headers = signed_headers(plane, "PUT", path, body=body)
    connection = http.client.HTTPConnection("127.0.0.1", plane.port)
    connection.putrequest("PUT", path)
    for name, value in (headers | {"Content-Length": str(len(body))}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[: 4 * MEBIBYTE])
    eventually(lambda: lying() == before + 1)
    connection.close()
    eventually(lambda: lying() == before)
    assert refused(s3.head_object, Bucket=bucket, Key="half") == (404, "404")


def test_a_fault_of_ours_is_an_internal_error_with_its_traceback_in_the_log(
    plane: RunningPlane, s3: Any, bucket: str
) -> None:
    files = Path(plane.log).parent / "objects" / "files"
    before = {path for path in files.rglob("*") if path.is_file()}
    s3.put_object(Bucket=bucket, Key="key", Body=os.urandom(100_000))
    (lost,) = {path for path in files.rglob("*") if path.is_file()} - before
    lost.unlink()
    assert refused(s3.get_object, Bucket=bucket, Key="key") == (500, "InternalError")
    assert "FileNotFoundError" in plane.log.read_text()
    s3.put_object(Bucket=bucket, Key="key", Body=b"again")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"again"


def test_a_header_that_cannot_be_sent_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    injected = refused(s3.get_object, Bucket=bucket, Key="key", ResponseContentType="a\r\nSet-Cookie: b=c")
    assert injected == (400, "InvalidArgument")


@pytest.fixture
def fresh_plane(tmp_path: Path) -> Iterator[RunningPlane]:
    running = start_plane(tmp_path)
    yield running
    running.stop()


def test_memory_does_not_grow_with_the_objects(fresh_plane: RunningPlane) -> None:
    size = 192 * MEBIBYTE
    s3 = fresh_plane.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="warm", Body=b"x" * (2 * MEBIBYTE))
    s3.get_object(Bucket="bucket", Key="warm")["Body"].read()
    before = _peak(fresh_plane)
    piece = os.urandom(MEBIBYTE)
    headers = signed_headers(fresh_plane, "PUT", "/bucket/big", payload="UNSIGNED-PAYLOAD")
    pieces = (piece for _ in range(size // MEBIBYTE))
    answer = send(fresh_plane, "PUT", "/bucket/big", headers | {"Content-Length": str(size)}, pieces)
    assert answer.status == 200
    digest = hashlib.md5()
    for chunk in s3.get_object(Bucket="bucket", Key="big")["Body"].iter_chunks(MEBIBYTE):
        digest.update(chunk)
    assert digest.hexdigest() == hashlib.md5(piece * (size // MEBIBYTE)).hexdigest()
    assert _peak(fresh_plane) - before < 40 * MEBIBYTE


def _peak(plane: RunningPlane) -> int:
    for line in Path(f"/proc/{plane.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no peak in /proc")


def test_many_clients_at_once_get_their_own_answers(plane: RunningPlane, bucket: str) -> None:
    s3 = plane.client(max_pool_connections=24)

    def round_trip(number: int) -> bool:
        body = os.urandom(500 if number % 3 else 200_000)
        s3.put_object(Bucket=bucket, Key=f"{number:03d}", Body=body)
        return bool(s3.get_object(Bucket=bucket, Key=f"{number:03d}")["Body"].read() == body)

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(round_trip, range(96)))
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 96


def test_with_open_doors_anybody_is_the_administrator(tmp_path: Path) -> None:
    running = start_plane(tmp_path, auth="open")
    try:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "aws_session_token": ""}
        running.credentials["anybody"] = keys
        s3 = running.client("anybody")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=b"data")
        assert send(running, "GET", "/bucket/key", {}).body == b"data"
    finally:
        running.stop()
