"""Whatever is thrown at the port, the front door answers or closes, and goes on serving."""

from __future__ import annotations

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.planes.front.running import RunningFront

GET = b"GET /b/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

fragments = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"PUT /b/k HTTP/1.1\r\n",
        b"CONNECT sts.amazonaws.com:443 HTTP/1.1\r\n",
        b"Host: x\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffffff\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 50,
    ]
)


@pytest.mark.timeout(120)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(fragments | st.binary(max_size=60), max_size=8))
def test_garbage_is_answered_or_closed_and_the_next_client_is_served(front: RunningFront, pieces: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as garbage:
        try:
            for piece in pieces:
                garbage.sendall(piece)
            garbage.shutdown(socket.SHUT_WR)
            while garbage.recv(65536):
                pass
        except ConnectionError:
            pass  # Closed on us: that is an answer too.
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as healthy:
        healthy.sendall(GET)
        assert healthy.recv(12) == b"HTTP/1.1 200"
        while healthy.recv(65536):
            pass
    assert front.loop.is_running()
