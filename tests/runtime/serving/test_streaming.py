"""Handlers that yield their answers: each part goes out as soon as it is made."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.runtime.serving.conftest import Start
from tests.runtime.serving.replica import Replica, answer_of, eventually, request_of
from tests.runtime.serving.test_workers import pid_of

JSON = "application/json"

YIELDING = """
import json, os, time
def model_fn(model_dir): return None
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model): return data
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)
def parts(told):
    try:
        for part in told["parts"]:
            if isinstance(part, dict):
                wait_for(part["gate"])
            elif isinstance(part, int):
                yield b"p" * part
            elif part == "raise":
                raise ValueError("no more tokens")
            elif part == "exit":
                raise SystemExit("enough")
            elif part == "memory":
                raise MemoryError
            elif part == "hang":
                time.sleep(3600)
            elif part == "nonsense":
                yield {"not": "bytes"}
            elif part == "forever":
                while True:
                    time.sleep(0.01)
                    yield b"x"
            else:
                yield part
    finally:
        print("tidied up")
def output_fn(prediction, accept, context):
    if prediction == "who":
        return json.dumps({"pid": os.getpid()})
    if prediction.get("late"):
        def generator():
            context.set_response_status(code=203)
            context.set_response_content_type(0, "text/late")
            context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "of the stream")
            yield from parts(prediction)
        return generator()
    return parts(prediction), "text/event-stream"
"""


@pytest.fixture
def yielding(start: Start) -> Replica:
    return start({"code/inference.py": YIELDING}, SAGEMAKER_MODEL_SERVER_TIMEOUT="2")


class Stream:
    """A request whose answer is read chunk by chunk."""

    def __init__(self, replica: Replica, body: str, *, head_only: bool = False):
        self.connection = replica.connect()
        self._data = b""
        self.connection.sendall(request_of(body, JSON))
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            piece = self.connection.recv(1 << 16)
            assert piece, f"the answer ends too early: {self._data[-100:]!r}"
            self._data += piece
        found, _, self._data = self._data.partition(mark)
        return found + mark

    def part(self) -> bytes:
        """The next chunk; b"" for the last, empty one."""
        size = int(self._until(b"\r\n"), 16)
        if not size:
            return b""
        while len(self._data) < size + 2:
            piece = self.connection.recv(1 << 20)
            assert piece, "the answer ends within a part"
            self._data += piece
        found, self._data = self._data[:size], self._data[size + 2 :]
        return found

    def parts(self) -> list[bytes]:
        return list(iter(self.part, b""))

    def failure(self) -> str:
        """What stands after the last chunk."""
        line = self._until(b"\r\n").decode().strip()
        if line:
            self._until(b"\r\n")
        return line.removeprefix("X-Sagebrush-Failure: ")

    def close(self) -> None:
        self.connection.close()


def test_a_part_is_sent_before_the_next_is_made(yielding: Replica, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    stream = Stream(yielding, f'{{"parts": ["one", "", {{"gate": "{gate}"}}, "zwölf"]}}')
    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
    assert stream.part() == b"one"
    gate.touch()
    assert stream.parts() == ["zwölf".encode()]
    assert stream.failure() == ""
    # The connection is good for another request.
    stream.connection.sendall(request_of('"who"', JSON))
    assert answer_of(stream.connection)[0] == 200
    stream.close()


def test_a_generator_may_say_what_it_is_before_its_first_part(yielding: Replica) -> None:
    stream = Stream(yielding, '{"late": true, "parts": ["x"]}')
    assert (stream.status, stream.headers["content-type"]) == (203, "text/late")
    assert stream.headers["x-amzn-sagemaker-custom-attributes"] == "of the stream"
    assert stream.parts() == [b"x"]
    stream.close()


def test_a_generator_without_parts_is_an_empty_answer(yielding: Replica) -> None:
    assert yielding.ask('{"parts": []}') == (200, b"")
    assert yielding.ask('{"parts": ["", ""]}') == (200, b"")


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("raise", "ValueError: no more tokens ({path}:17 in parts)"),
        ("exit", "SystemExit: enough ({path}:19 in parts)"),
        ("memory", "MemoryError ({path}:21 in parts)"),
        ("nonsense", "output_fn yielded dict as part 2 of its answer; only bytes and text can be sent as they come."),
    ],
)
def test_what_goes_wrong_in_the_middle_follows_the_last_part(yielding: Replica, part: str, told: str) -> None:
    stream = Stream(yielding, f'{{"parts": ["begun", "{part}"]}}')
    assert stream.parts() == [b"begun"]
    assert stream.failure() == told.format(path=yielding.base / "model/code/inference.py")
    stream.close()
    assert yielding.ask('"who"')[0] == 200
    if part == "raise":
        assert "Traceback (most recent call last)" in yielding.log
        assert "sagebrush/runtime" not in yielding.log


def test_what_goes_wrong_before_the_first_part_is_an_ordinary_error(yielding: Replica) -> None:
    status, body = yielding.ask('{"parts": ["", "raise"]}')
    assert status == 500
    assert body.startswith(b"ValueError: no more tokens (")
    status, body = yielding.ask('{"parts": ["nonsense"]}')
    assert status == 500
    assert body.startswith(b"output_fn yielded dict as part 1")


def test_a_front_door_that_hangs_up_ends_the_generator(yielding: Replica) -> None:
    before = pid_of(yielding)
    stream = Stream(yielding, '{"parts": ["begun", "forever"]}')
    assert stream.part() == b"begun"
    stream.connection.shutdown(socket.SHUT_WR)
    while stream.connection.recv(1 << 16):
        pass
    stream.close()
    eventually(lambda: "tidied up" in yielding.log, lambda: yielding.log)
    assert pid_of(yielding) == before


def test_a_front_door_that_is_gone_ends_the_generator(yielding: Replica) -> None:
    before = pid_of(yielding)
    stream = Stream(yielding, '{"parts": ["begun", "forever"]}')
    stream.close()
    eventually(lambda: "tidied up" in yielding.log, lambda: yielding.log)
    assert pid_of(yielding) == before


def test_the_time_that_a_client_takes_is_not_the_models(start: Start, tmp_path: Path) -> None:
    """Parts that nobody takes wait for longer than a worker may be busy, and are all there afterwards."""
    replica = start({"code/inference.py": YIELDING}, SAGEMAKER_MODEL_SERVER_TIMEOUT="0.5")
    before = pid_of(replica)
    stream = Stream(replica, '{"parts": ["begun", 5000000, "end"]}')
    # Another server's hanging request is given up meanwhile, on the same clock.
    other = start({"code/inference.py": YIELDING}, SAGEMAKER_MODEL_SERVER_TIMEOUT="1")
    hanging = Stream(other, '{"parts": ["begun", "hang"]}')
    assert hanging.part() == b"begun"
    assert hanging.connection.recv(100) == b""
    hanging.close()
    assert [len(part) for part in stream.parts()] == [5, 5_000_000, 3]
    stream.close()
    assert pid_of(replica) == before


def test_each_part_has_the_models_time(start: Start, tmp_path: Path) -> None:
    code = """
import os, time
def model_fn(model_dir): return None
def transform_fn(model, body, content_type, accept):
    if body == b"who":
        return '{"pid": %d}' % os.getpid()
    def slowly():
        for _ in range(4):
            time.sleep(0.5)
            yield b"x"
    return slowly()
"""
    replica = start({"code/inference.py": code}, SAGEMAKER_MODEL_SERVER_TIMEOUT="1.5")
    stream = Stream(replica, "go")
    assert stream.parts() == [b"x"] * 4
    assert stream.failure() == ""
    stream.close()


def test_any_iterator_and_what_predict_fn_yields_are_streams(start: Start) -> None:
    code = """
def model_fn(model_dir): return 3
def input_fn(body, content_type): return body
def predict_fn(data, model):
    for i in range(model):
        yield f"{i} "
"""
    replica = start({"code/inference.py": code})
    stream = Stream(replica, "x")
    assert stream.parts() == [b"0 ", b"1 ", b"2 "]
    stream.close()
    replica = start(
        {"code/inference.py": code + "def output_fn(p, accept): return map(str.upper, ['a', 'b']), 'text/x'"}
    )
    stream = Stream(replica, "x")
    assert (stream.headers["content-type"], stream.parts()) == ("text/x", [b"A", b"B"])
    stream.close()


def test_sigterm_lets_a_stream_end(yielding: Replica, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    stream = Stream(yielding, f'{{"parts": ["one", {{"gate": "{gate}"}}, "two"]}}')
    assert stream.part() == b"one"
    yielding.process.terminate()
    gate.touch()
    assert stream.parts() == [b"two"]
    stream.close()
    assert yielding.ended() == 0
