"""Programs that a model brings to serve itself, and the relays to them and to the platform."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.runtime.serving.conftest import Start
from tests.runtime.serving.replica import Replica, children, eventually, exchange, free_port, request_of

SERVER = """#!/usr/bin/env python3
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, text):
        self.send_response(status); self.send_header("Content-Length", str(len(text))); self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        self.answer(500 if os.path.exists("sick") else 200, b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"die": os._exit(7)
        if body == b"sicken": open("sick", "w").close()
        if body == b"slow": print("slow begins", flush=True); time.sleep(1)
        self.answer(200, b"own " + body)
    def log_message(self, *arguments): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def begin(start: Start, server: str = SERVER, **variables: str) -> Replica:
    return start(
        {"code/serve": server}, **{"SAGEMAKER_PROGRAM": "serve", "SAGEMAKER_BIND_TO_PORT": free_port()} | variables
    )


def test_it_is_relayed(start: Start) -> None:
    replica = begin(start)
    assert replica.ask(b"x" * 3_000_000, "application/octet-stream") == (200, b"own " + b"x" * 3_000_000)
    with replica.connect() as connection:
        for i in range(20):
            assert exchange(connection, str(i), "text/plain") == (200, f"own {i}".encode())
    assert replica.stop() == 0


def test_a_server_must_be_named_but_needs_no_execute_bit(start: Start) -> None:
    unnamed = begin(start, SAGEMAKER_PROGRAM="")
    assert unnamed.ended() == 1
    assert "holds a server of its own. Set SAGEMAKER_PROGRAM=serve for it to be run." in unnamed.failure
    replica = start({"code/my.server": SERVER}, SAGEMAKER_PROGRAM="my.server", SAGEMAKER_BIND_TO_PORT=free_port())
    assert replica.ask("x") == (200, b"own x")


def test_its_end_is_the_end(start: Start) -> None:
    replica = begin(start)
    assert replica.ask("die", "text/plain") == (0, b"")
    assert replica.ended() == 1
    assert replica.failure == f"The model's server {replica.base}/model/code/serve ended with exit code 7."


def test_one_that_ends_before_it_answers_is_told(start: Start) -> None:
    replica = begin(start, "#!/bin/sh\necho no weights >&2\nkill -11 $$\n")
    assert replica.ended() == 1
    assert "ended by signal 11 (SIGSEGV), before it answered GET /ping" in replica.failure
    assert "no weights" in replica.log


def test_one_that_never_listens_is_given_up(start: Start) -> None:
    replica = begin(start, "#!/bin/sh\nexec sleep 3600\n", SAGEMAKER_STARTUP_TIMEOUT="0.5")
    assert replica.ended() == 1
    assert "did not answer GET /ping with status 200" in replica.failure
    assert "within 0.5 s: connection refused" in replica.failure


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("HTTP/1.1 500 Ill\\r\\n\\r\\n", "status 500"),
        ("SSH-2.0-OpenSSH\\r\\n", "the answer is not HTTP"),
        ("", "closed without an answer"),
    ],
)
def test_one_that_answers_its_first_pings_wrongly_is_given_up(start: Start, answer: str, told: str) -> None:
    program = f"""#!/usr/bin/env python3
import os, socket
server = socket.create_server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])))
while True:
    peer, _ = server.accept()
    peer.recv(1000); peer.sendall(b"{answer}"); peer.close()
"""
    replica = begin(start, program, SAGEMAKER_STARTUP_TIMEOUT="4")
    assert replica.ended() == 1
    assert told in replica.failure


def test_one_that_falls_ill_is_given_up(start: Start) -> None:
    replica = begin(start)
    assert replica.ask("sicken", "text/plain")[0] == 200
    assert replica.ended() == 1
    assert "failed 3 health checks in a row" in replica.failure
    assert "status 500" in replica.failure


def test_one_that_is_stopped_before_it_answers_says_what_was_waited_for(start: Start) -> None:
    replica = begin(start, "#!/bin/sh\necho sleeping\nexec sleep 3600\n")
    replica.wait_for_log("sleeping")
    assert replica.stop() == 0
    assert "waiting for its program to answer GET /ping" in replica.failure


def test_sigterm_lets_the_answer_in_hand_end(start: Start) -> None:
    replica = begin(start)
    with replica.connect() as connection:
        connection.sendall(request_of("slow", "text/plain"))
        replica.wait_for_log("slow begins")
        replica.process.terminate()
        received = b""
        while piece := connection.recv(1000):
            received += piece
        assert received.endswith(b"own slow")
    assert replica.ended() == 0


def test_sigterm_to_the_group_does_not_reach_it_before_its_answers_are_through(start: Start) -> None:
    replica = begin(start)
    assert replica.ask("x")[0] == 200
    (server,) = children(replica.process.pid)
    assert os.getsid(server) == server


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"code/readme.md": "x"}, "No file serve was found in the code directory"),
        ({"readme.md": "x"}, "which holds nothing, as it is not there"),
        ({"code/serve": b"\x7fELF rubbish"}, "cannot be run"),
        ({"code/serve": "#!/no/such/interpreter\n"}, "cannot be run"),
    ],
)
def test_programs_that_cannot_be_run_are_told(start: Start, files: dict[str, str | bytes], told: str) -> None:
    replica = start(files, SAGEMAKER_PROGRAM="serve")
    assert replica.ended() == 1
    assert told in replica.failure


# -- relays -----------------------------------------------------------------------------------------------------------

RAW = """#!/usr/bin/env python3
import os, socket, threading
def serve(peer):
    data = b""
    while piece := peer.recv(65536):
        data += piece
        if data.endswith(b"\\r\\n\\r\\n") and b"/ping" in data:
            peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"); peer.close(); return
    # The client has said its last: the answer comes after that, all the same.
    peer.sendall(b"%d" % len(data)); peer.close()
server = socket.create_server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])))
while True:
    peer, _ = server.accept()
    threading.Thread(target=serve, args=(peer,), daemon=True).start()
"""


def test_the_end_of_one_direction_is_passed_on_and_leaves_the_other_open(start: Start) -> None:
    replica = begin(start, RAW)
    with replica.connect() as connection:
        connection.sendall(b"x" * 1_000_000)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"1000000"
        assert connection.recv(100) == b""


def test_what_nobody_takes_is_not_read(start: Start) -> None:
    endless = RAW.replace(
        '    data = b""', "    data = peer.recv(10)\n    while data == b'more': peer.sendall(bytes(65536))"
    )
    replica = begin(start, endless)
    with replica.connect() as connection:
        connection.sendall(b"more")
        assert connection.recv(1000)

        def resident() -> int:
            return int(Path(f"/proc/{replica.process.pid}/statm").read_text().split()[1]) * 4096

        before = resident()
        with replica.connect() as other:  # The relay goes on meanwhile.
            for _ in range(50):
                other.sendall(b"x" * 65536)
            other.shutdown(socket.SHUT_WR)
            assert other.recv(100)
        assert resident() - before < 16 << 20


@pytest.fixture
def platform(tmp_path: Path) -> socket.socket:
    """A socket as the platform's; it answers each connection with what it got."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "front.sock"))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.sendall(b"got " + peer.recv(100))

    threading.Thread(target=serve, daemon=True).start()
    return listener


def through(port: str, text: bytes) -> bytes:
    """What comes back through the relay; nothing where it breaks the connection off, be it before or after the text."""
    with socket.create_connection(("127.0.0.1", int(port))) as inside, contextlib.suppress(ConnectionError):
        inside.settimeout(30)
        inside.sendall(text)
        return inside.recv(100)
    return b""


ASKING = """
import os, socket
def ask(text):
    with socket.create_connection(("127.0.0.1", int(os.environ["SAGEBRUSH_RELAY"].partition(":")[0]))) as inside:
        inside.sendall(text)
        return inside.recv(100)
def model_fn(model_dir): return ask(b"credentials")
def input_fn(body, content_type): return body
def predict_fn(data, model): return model + b" and " + ask(b"more")
def output_fn(prediction, accept): return prediction
"""


def test_handlers_reach_the_platform_from_the_first_line(start: Start, platform: socket.socket, tmp_path: Path) -> None:
    relay = f"{free_port()}:{tmp_path / 'front.sock'}"
    replica = start({"code/inference.py": ASKING}, SAGEBRUSH_RELAY=relay)
    assert replica.ask("") == (200, b"got credentials and got more")
    (relaying,) = [pid for pid in replica.workers() if b"serving.relays" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(relaying, signal.SIGKILL)
    assert replica.ask("") == (200, b"got credentials and got more")
    assert replica.stop() == 0
    eventually(lambda: not Path(f"/proc/{relaying}").exists())


def test_a_server_of_the_models_own_reaches_it_too(start: Start, platform: socket.socket, tmp_path: Path) -> None:
    port = free_port()
    replica = begin(start, SAGEBRUSH_RELAY=f"{port}:{tmp_path / 'front.sock'}")
    assert replica.ask("up", "text/plain")[0] == 200
    assert through(port, b"hello") == b"got hello"
    platform.close()
    assert through(port, b"x") in (b"", b"got x")
