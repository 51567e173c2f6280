"""The model server on real processes and sockets."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.serving.replica import Replica, archive_of, exchange

UNRULY = """
import json, os, signal, time
def model_fn(model_dir):
    return {"loaded by": os.getpid()}
def input_fn(body, content_type):
    return json.loads(body)
def predict_fn(data, model):
    if data == "raise":
        raise KeyError("no such feature")
    if data == "hang":
        time.sleep(3600)
    if data == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if data == "set":
        return {1, 2}
    if data == "slow":
        print("slow begins", flush=True)
        time.sleep(1)
    return {"pid": os.getpid(), "data": data}
def output_fn(prediction, accept):
    return prediction if isinstance(prediction, set) else (json.dumps(prediction), "application/json")
"""

Start = Callable[..., Replica]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts replicas and ends them."""
    running: list[Replica] = []

    def begin(files: dict[str, str | bytes] | bytes, **more: Any) -> Replica:
        artefact = files if isinstance(files, bytes) else archive_of(files)
        running.append(Replica(tmp_path / f"r{len(running)}", artefact, **more))
        return running[-1]

    yield begin
    for replica in running:
        replica.close()


@pytest.fixture
def unruly(start: Start) -> Replica:
    return start({"code/inference.py": UNRULY}, workers=2, SAGEMAKER_MODEL_SERVER_TIMEOUT="2")


def pid_of(replica: Replica, worker: int = 0) -> int:
    return int(json.loads(replica.ask('"who"', worker=worker)[1])["pid"])


def test_each_socket_has_a_worker_of_its_own_and_keeps_connections(unruly: Replica) -> None:
    with unruly.connect() as connection:
        answers = [json.loads(exchange(connection, str(i), "application/json")[1]) for i in range(50)]
    assert [answer["data"] for answer in answers] == list(range(50))
    assert len({answer["pid"] for answer in answers}) == 1
    assert pid_of(unruly, 1) != answers[0]["pid"]
    assert unruly.ask("", path="/ping") == (200, b"")
    assert unruly.ask("", path="/other")[0] == 404


def test_large_bodies_pass_both_ways(unruly: Replica) -> None:
    text = "x" * 6_000_000
    status, body = unruly.ask(json.dumps(text))
    assert (status, json.loads(body)["data"]) == (200, text)


def test_an_exception_is_told_with_its_place_and_the_worker_goes_on(unruly: Replica) -> None:
    before = pid_of(unruly)
    status, body = unruly.ask('"raise"')
    assert status == 500
    assert body.decode().startswith("KeyError: 'no such feature'")
    assert "inference.py:9" in body.decode()
    assert "Traceback" in unruly.log
    assert pid_of(unruly) == before


def test_nonsense_is_named(unruly: Replica) -> None:
    assert unruly.ask('"set"') == (500, b"output_fn returned a set, which cannot be sent as application/json")


def test_a_hanging_worker_is_ended_and_its_socket_served_by_another(unruly: Replica) -> None:
    before = pid_of(unruly)
    assert unruly.ask('"hang"') == (0, b"")
    assert pid_of(unruly) != before
    assert "has been answering for 2 s" in unruly.log


def test_a_worker_that_dies_loses_its_own_request_only(unruly: Replica) -> None:
    other = pid_of(unruly, 1)
    assert unruly.ask('"die"') == (0, b"")
    assert unruly.ask('"own"')[0] == 200
    assert pid_of(unruly, 1) == other
    assert "ended by SIGKILL" in unruly.log


def test_a_worker_killed_while_idle_is_replaced_under_the_waiting_connection(unruly: Replica) -> None:
    for _ in range(3):
        before = pid_of(unruly)
        os.kill(before, signal.SIGKILL)
        assert pid_of(unruly) != before


def test_sigterm_lets_the_request_in_hand_end(unruly: Replica) -> None:
    pid_of(unruly, 1)
    with unruly.connect() as connection:
        assert exchange(connection, '"first"', "application/json")[0] == 200
        body = b'"slow"'
        connection.sendall(b"POST /invocations HTTP/1.1\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        unruly.wait_for_log("slow begins")
        unruly.process.send_signal(signal.SIGTERM)
        assert b'"slow"' in connection.recv(1 << 16)
    assert unruly.ended() == 0


def test_transform_fn_does_everything_itself(start: Start) -> None:
    code = """
def model_fn(model_dir, context):
    return 3
def transform_fn(model, body, content_type, accept):
    return f"{model}|{body}|{content_type}|{accept}", "text/plain"
"""
    replica = start({"code/inference.py": code}, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")
    assert replica.ask("1,2", "text/csv") == (200, b"3|1,2|text/csv|text/csv")
    assert replica.ask("1,2", "text/csv", "application/json")[1].endswith(b"|application/json")


def test_code_in_an_archive_of_its_own_serves(start: Start, tmp_path: Path) -> None:
    source = tmp_path / "sourcedir.tar.gz"
    source.write_bytes(archive_of({"serve_me.py": UNRULY, "helper.py": "x = 1"}))
    replica = start({"weights.bin": b"1"}, SAGEBRUSH_CODE_ARCHIVE=str(source), SAGEMAKER_PROGRAM="serve_me.py")
    assert replica.ask('"hello"')[0] == 200
    assert (replica.base / "code" / "helper.py").exists()


# -- servers that cannot start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"code/inference.py": "x = 1"}, "model_fn is missing"),
        ({"weights.bin": b"1"}, "model_fn is missing"),
        ({"code/inference.py": "def model_fn(d):\n    raise OSError('no weights')\n"}, "OSError: no weights"),
        ({"code/inference.py": "def model_fn(d:\n"}, "SyntaxError"),
        ({"code/inference.py": "import no_such_module\n"}, "No module named 'no_such_module'"),
        ({"code/inference.py": "def transform_fn(): 0\ndef input_fn(): 0\n"}, "either transform_fn or"),
        ({"../outside": b"x", "code/inference.py": UNRULY}, "outside"),
        (b"this is no archive", "model.tar.gz is not a tar archive"),
    ],
)
def test_what_cannot_start_says_why_and_ends(start: Start, files: Any, told: str) -> None:
    replica = start(files)
    assert replica.ended() == 1
    assert told in replica.failure
    assert not (replica.base / "outside").exists()


def test_the_failure_names_file_and_line(start: Start) -> None:
    replica = start({"code/inference.py": "def model_fn(d):\n    return 1 / 0\n"})
    assert replica.ended() == 1
    assert "inference.py:2 in model_fn" in replica.failure


def test_an_archive_may_not_unpack_to_more_than_was_said(start: Start) -> None:
    bomb = archive_of({"zeros.bin": bytes(10 << 20), "code/inference.py": UNRULY})
    assert len(bomb) < 100_000
    replica = start(bomb, SAGEBRUSH_MODEL_MAX_BYTES=str(1 << 20))
    assert replica.ended() == 1
    assert f"more than {1 << 20} bytes" in replica.failure
    assert not (replica.base / "model" / "zeros.bin").exists()


def test_links_and_devices_in_an_archive_are_refused(start: Start) -> None:
    for kind, name in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.CHRTYPE, "")):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            member = tarfile.TarInfo("evil.bin")
            member.type, member.linkname = kind, name
            tar.addfile(member)
        replica = start(buffer.getvalue())
        assert replica.ended() == 1
        assert "evil.bin" in replica.failure


def test_workers_that_end_again_and_again_end_the_server(start: Start) -> None:
    replica = start(
        {"code/inference.py": "import os, signal\ndef model_fn(d):\n    os.kill(os.getpid(), signal.SIGSEGV)\n"}
    )
    assert replica.ended() == 1
    assert "SIGSEGV" in replica.failure


# -- servers of the model's own ------------------------------------------------------------

OWN = """#!/usr/bin/env python3
import http.server, os, sys
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
        self.answer(200, b"own " + body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_a_server_of_the_models_own_is_relayed(start: Start) -> None:
    replica = start({"code/serve": OWN}, SAGEMAKER_PROGRAM="serve", SAGEMAKER_BIND_TO_PORT=free_port())
    assert replica.ask("", path="/ping")[0] in (200, 501)
    assert replica.ask(b"x" * 3_000_000, "application/octet-stream") == (200, b"own " + b"x" * 3_000_000)
    with replica.connect() as connection:
        for i in range(20):
            assert exchange(connection, str(i), "text/plain") == (200, f"own {i}".encode())
    replica.process.send_signal(signal.SIGTERM)
    assert replica.ended() == 0


def test_the_end_of_the_models_own_server_is_the_end(start: Start) -> None:
    replica = start({"code/serve": OWN}, SAGEMAKER_PROGRAM="serve", SAGEMAKER_BIND_TO_PORT=free_port())
    assert replica.ask("die", "text/plain") == (0, b"")
    assert replica.ended() == 1
    assert "exit code 7" in replica.failure


def test_a_program_that_is_not_there_is_named(start: Start) -> None:
    replica = start({"code/readme.md": "x"}, SAGEMAKER_PROGRAM="serve")
    assert replica.ended() == 1
    assert "No file serve" in replica.failure


def test_the_relay_reaches_the_platform_from_inside(start: Start, tmp_path: Path) -> None:
    platform = socket.socket(socket.AF_UNIX)
    platform.bind(str(tmp_path / "front.sock"))
    platform.listen()
    port = free_port()
    replica = start(
        {"code/serve": OWN},
        SAGEMAKER_PROGRAM="serve",
        SAGEMAKER_BIND_TO_PORT=free_port(),
        SAGEBRUSH_RELAY=f"{port}:{tmp_path / 'front.sock'}",
    )
    assert replica.ask("up", "text/plain")[0] == 200
    with socket.create_connection(("127.0.0.1", int(port))) as inside:
        inside.sendall(b"hello")
        outside, _ = platform.accept()
        with outside:
            assert outside.recv(100) == b"hello"
            outside.sendall(b"world")
        assert inside.recv(100) == b"world"
    platform.close()
