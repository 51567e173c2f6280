"""CONNECT: STS answered here over TLS, other targets tunnelled, chained or refused at once."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sagebrush.planes.front.chaining import chain_credentials, chained_proxy
from sagebrush.server.front import sts_context
from sagebrush.substrate.identity.certificates import Certificates, aws_regions, ensure_certificates
from tests.planes.front.running import RawClient, RunningFront


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure_certificates(tmp_path_factory.mktemp("keys"), aws_regions(), datetime.now(UTC))


@pytest.fixture
def front(start_front: Callable[..., RunningFront], certificates: Certificates) -> RunningFront:
    return start_front(sts_context(certificates.leaf_pem.parent))


def connect(front: RunningFront, target: str, *headers: str) -> tuple[RawClient, int, bytes]:
    client = front.client()
    client.send("\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers, "", ""]).encode())
    status, answered = client.head()
    body = client.exactly(int(answered.get("content-length", "0"))) if status != 200 else b""
    return client, status, body


@pytest.mark.parametrize(
    "host", ["sts.amazonaws.com", "sts.us-east-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com"]
)
def test_sts_names_are_answered_by_the_control_plane_over_tls(
    front: RunningFront, certificates: Certificates, host: str
) -> None:
    client, status, _ = connect(front, f"{host}:443")
    assert status == 200
    trust = ssl.create_default_context(cafile=str(certificates.bundle))
    trust.set_alpn_protocols(["http/1.1"])
    with trust.wrap_socket(client.sock, server_hostname=host) as secured:
        inner = RawClient(secured)
        assert secured.selected_alpn_protocol() == "http/1.1"
        for _ in range(3):
            inner.send(b"POST / HTTP/1.1\r\nHost: " + host.encode() + b"\r\nContent-Length: 3\r\n\r\nA=B")
            seen = inner.echo()
            assert (seen["plane"], seen["size"]) == ("control", 3)
        assert dict(seen["headers"])["host"] == host
        assert dict(seen["headers"])["x-sagebrush-source-ip"] == "127.0.0.1"
        inner.send(b"GET /bytes/1000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len(inner.response()[2]) == 1_000_000


def test_a_handshake_that_is_none_ends_the_connection_and_nothing_else(front: RunningFront) -> None:
    client, status, _ = connect(front, "sts.amazonaws.com:443")
    assert status == 200
    client.send(b"this is not a ClientHello\r\n\r\n")
    with pytest.raises((AssertionError, ConnectionResetError)):
        client.head()
    assert front.client().send(b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n").echo()["plane"] == "objects"


@pytest.fixture
def echo_server() -> Iterator[int]:
    """A TCP server that returns what it gets, for a tunnel's far end."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


def test_other_targets_are_tunnelled_byte_for_byte(front: RunningFront, echo_server: int) -> None:
    client, status, _ = connect(front, f"127.0.0.1:{echo_server}")
    assert status == 200
    payload = bytes(range(256)) * 20_000
    sender = threading.Thread(target=client.send, args=(payload,))
    sender.start()
    assert client.exactly(len(payload)) == payload
    sender.join()
    client.sock.shutdown(socket.SHUT_WR)
    assert client.until_closed() == b""


def test_a_tunnel_may_be_chained_to_the_proxy_the_user_had(
    front: RunningFront, start_front: Callable[..., RunningFront], echo_server: int, tmp_path: Path
) -> None:
    """The user's own proxy is played by a second front door."""
    credentials = chain_credentials(f"http://someone:secret@127.0.0.1:{front.port}")
    header = "Proxy-Authorization: Basic " + base64.b64encode(credentials.encode()).decode()
    client, status, _ = connect(front, f"localhost:{echo_server}", header)
    assert status == 200
    assert client.send(b"through two proxies").exactly(19) == b"through two proxies"
    client.sock.shutdown(socket.SHUT_WR)
    assert client.until_closed() == b""


def test_a_proxy_to_chain_to_that_is_away_is_named(front: RunningFront) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    credentials = chain_credentials(f"http://127.0.0.1:{port}")
    header = "Proxy-Authorization: Basic " + base64.b64encode(credentials.encode()).decode()
    _, status, body = connect(front, "example.com:443", header)
    assert status == 403
    assert f"127.0.0.1:{port} cannot be reached".encode() in body


def test_what_cannot_be_reached_is_refused(front: RunningFront) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for target in (f"127.0.0.1:{port}", "no-such-host.invalid:443", "no-such-host.invalid:443"):
        _, status, body = connect(front, target)
        assert status == 403
        assert b"CONNECT refused" in body


@pytest.mark.parametrize(
    "target", ["sts.amazonaws.com", "sts.amazonaws.com:99999", "a b:1", "/path", ":443", "[::1:443"]
)
def test_a_target_that_is_no_address_is_refused(front: RunningFront, target: str) -> None:
    _, status, _ = connect(front, target)
    assert status in (400, 403)


@pytest.mark.parametrize("host", ["sts.evil.amazonaws.com.example", "s3.amazonaws.com", "xsts.amazonaws.com"])
def test_only_sts_is_impersonated(front: RunningFront, host: str) -> None:
    _client, status, _ = connect(front, f"{host}.invalid:443")
    assert status == 403


def test_chain_credentials_survive_any_proxy_url() -> None:
    url = "https://user:p%40ss:word@proxy.example:3128"
    header = b"Basic " + base64.b64encode(chain_credentials(url).encode())
    assert chained_proxy(header) == url
    assert chained_proxy(b"Basic " + base64.b64encode(b"someone:else")) is None
    assert chained_proxy(b"Basic ???") is None
    assert chained_proxy(b"Bearer x") is None


def test_sts_is_answered_over_tls_without_connect_too(front: RunningFront, certificates: Certificates) -> None:
    trust = ssl.create_default_context(cafile=str(certificates.bundle))
    with trust.wrap_socket(front.client().sock, server_hostname="localhost") as secured:
        inner = RawClient(secured)
        for _ in range(3):
            inner.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nA=B")
            seen = inner.echo()
            assert (seen["plane"], seen["size"]) == ("control", 3)
        assert dict(seen["headers"])["x-sagebrush-source-ip"] == "127.0.0.1"
        inner.send(b"GET /bytes/1000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len(inner.response()[2]) == 1_000_000


@pytest.mark.parametrize("hello", [b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x16" + bytes(100_000)])
def test_what_only_looks_like_tls_is_cut_off(front: RunningFront, hello: bytes) -> None:
    client = front.client()
    client.sock.sendall(hello)
    client.sock.shutdown(socket.SHUT_WR)
    assert not client.sock.recv(65536).startswith(b"HTTP")
    secured = front.client()
    secured.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert secured.response()[0] == 200


def test_tls_is_cut_off_where_there_is_no_certificate(start_front: Callable[..., RunningFront]) -> None:
    client = start_front(None).client()
    client.sock.sendall(b"\x16\x03\x01\x00\x05hello")
    assert client.sock.recv(1024) == b""


@pytest.mark.parametrize("target", ["sts.amazonaws.com:443", ""])
def test_within_tls_there_is_no_way_on(
    front: RunningFront, certificates: Certificates, echo_server: int, target: str
) -> None:
    """Else whoever may reach the platform alone would reach everything by way of STS."""
    client = connect(front, target)[0] if target else front.client()
    trust = ssl.create_default_context(cafile=str(certificates.bundle))
    with trust.wrap_socket(client.sock, server_hostname="sts.amazonaws.com") as secured:
        inner = RawClient(secured)
        inner.send(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % echo_server)
        status, _, body = inner.response()
        assert status == 403
        assert b"There is no CONNECT within TLS." in body
