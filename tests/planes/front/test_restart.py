"""The front door's own process: killed and restarted under load, drained, on all its sockets."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.planes.front.invoking import GrantingPlane, ModelWorker, endpoint, poll, signed, variant
from tests.planes.front.running import RawClient


class FrontProcess:
    """``python -m sagebrush.server.front`` on a data directory; the test keeps its listening socket."""

    def __init__(self, root: Path):
        self.root = root
        self.clients: list[RawClient] = []
        for name in ("run", "keys", "logs", "endpoints/e"):
            (root / name).mkdir(parents=True)
        self.door = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.control = GrantingPlane("control", root / "run" / "control.sock")
        self.control.start()
        self.worker = ModelWorker(root, "endpoints/e/w")
        document = {
            "version": 3,
            "account": "1",
            "region": "r",
            "endpoints": {"e": endpoint("e", variant("AllTraffic", self.worker.path))},
        }
        (root / "run" / "endpoints.json").write_text(json.dumps(document))
        self.process = self.spawn()

    def spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "sagebrush.server.front", "--listen-fd", str(self.door.fileno())]
        with (self.root / "logs" / "front.log").open("ab") as log:
            return subprocess.Popen(
                [*command, "--data-dir", str(self.root)],
                cwd=self.root,
                stderr=log,
                pass_fds=(self.door.fileno(),),
            )

    def client(self) -> RawClient:
        self.clients.append(RawClient(socket.create_connection(self.door.getsockname(), timeout=30)))
        return self.clients[-1]

    def unix(self, name: str) -> RawClient:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(str(self.root / "run" / name))
        self.clients.append(RawClient(client))
        return self.clients[-1]

    def page(self) -> dict[str, object]:
        client = self.unix("routing.sock").send(b"GET /_sagebrush/routing HTTP/1.1\r\n\r\n")
        answer: dict[str, object] = json.loads(client.response()[2])
        client.close()
        return answer

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.worker.close()
        for client in self.clients:
            client.close()
        if self.control.path.exists():
            self.control.stop()
        self.door.close()


@pytest.fixture
def process(short_dir: Path) -> Iterator[FrontProcess]:
    running = FrontProcess(short_dir)
    poll(lambda: (short_dir / "run" / "front.sock").exists(), "the front door")
    yield running
    running.close()


def invoked(client: RawClient, number: int) -> int:
    client.send(signed(json.dumps({"id": number}).encode()))
    status, _, body = client.response()
    assert json.loads(body)["told"] == {"id": number}
    client.close()
    return status


def test_a_front_door_that_is_killed_reads_its_routes_at_once_and_refuses_nobody(process: FrontProcess) -> None:
    assert invoked(process.client(), 0) == 200
    for round_number in range(3):
        assert process.end(signal.SIGKILL) == -signal.SIGKILL
        clients = [process.client() for _ in range(20)]  # The listening socket is the supervisor's: they wait in it.
        process.process = process.spawn()
        assert [invoked(client, i) for i, client in enumerate(clients)] == [200] * 20
        assert process.page() == {"version": 3, "outstanding": {}}
        assert round_number < 3


def test_it_needs_the_control_plane_for_a_key_only_not_for_the_routes(process: FrontProcess) -> None:
    assert invoked(process.client(), 0) == 200
    process.control.stop()
    assert invoked(process.client(), 1) == 200
    process.end(signal.SIGKILL)
    process.process = process.spawn()
    client = process.client().send(signed(b'{"id": 2}'))
    process.control.start()
    assert client.response()[0] == 200


def test_restarts_under_load_cost_only_what_was_in_flight(process: FrontProcess) -> None:
    stop = threading.Event()
    answered: list[int] = []
    broken: list[int] = []
    wrong: list[int] = []

    def load(first: int) -> None:
        number = first
        while not stop.is_set():
            number += 1000
            client = process.client()
            try:
                status = invoked(client, number)
                (answered if status == 200 else wrong).append(number)
            except (AssertionError, OSError):
                broken.append(number)
            finally:
                client.close()

    threads = [threading.Thread(target=load, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        already = len(answered)
        poll(lambda n=already: len(answered) > n + 50, "answers")
        before = len(broken)
        process.end(number)
        process.process = process.spawn()
        already = len(answered)
        poll(lambda n=already: len(answered) > n + 50, "answers after the restart")
        if number is signal.SIGTERM:
            assert len(broken) == before, "an orderly restart broke a connection"
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(broken) <= 8  # Two kills, four connections.
    begun = process.worker.begun()
    assert len(begun) == len(set(begun))


def test_stopping_lets_a_request_end(process: FrontProcess) -> None:
    process.worker.pause()
    client = process.client().send(signed(b'{"id": 1}'))
    poll(lambda: process.page()["outstanding"], "the request to be asked")
    process.process.send_signal(signal.SIGTERM)
    # It accepts no more: the page's socket is closed with the rest only when the request has ended.
    poll(lambda: "State:\tS" in Path(f"/proc/{process.process.pid}/status").read_text(), "the process to wait")
    process.worker.resume()
    status, headers, body = client.response()
    assert (status, json.loads(body)["told"]) == (200, {"id": 1})
    assert process.process.wait(30) == 0
    (counts,) = (process.root / "endpoints/e/spool").glob("counters-*.jsonl")
    assert sum(json.loads(line)["invocations"] for line in counts.read_text().splitlines()) == 1
    assert headers.get("connection", "close") == "close"


def test_its_unix_sockets_are_for_whom_they_should_be(process: FrontProcess) -> None:
    run = process.root / "run"

    def mode(name: str) -> int:
        return stat.S_IMODE((run / name).stat().st_mode)

    assert (mode("routing.sock"), mode("front.sock"), mode("front/front.sock")) == (0o600, 0o666, 0o666)
    assert [entry.name for entry in (run / "front").iterdir()] == ["front.sock"]
    for name in ("front.sock", "front/front.sock"):
        assert invoked(process.unix(name), 5) == 200
        client = process.unix(name).send(signed(b"{}", secret="guessed"))
        assert client.response()[0] == 403
        client.close()
    assert process.control.asked[-1]["source_ip"] == "127.0.0.1"
    inode = (run / "front/front.sock").stat().st_ino
    process.end(signal.SIGKILL)
    process.process = process.spawn()
    poll(lambda: (run / "front/front.sock").stat().st_ino != inode, "another socket under the same name")
    assert invoked(process.unix("front/front.sock"), 6) == 200


def test_the_enclosed_reach_the_platform_alone(process: FrontProcess) -> None:
    client = process.unix("front.sock").send(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % process.door.getsockname()[1])
    status, _, body = client.response()
    assert status == 403
    assert b"this network reaches the platform alone" in body
    client.close()
