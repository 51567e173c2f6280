"""The engine's parts by themselves: sockets, snapshot, counts, captured files, room in logs."""

from __future__ import annotations

import gc
import json
import os
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sagebrush.inference.engine import captured, counts, front_door, log_space, snapshot
from sagebrush.inference.engine.probing import Probe
from sagebrush.substrate.objects.locations import S3Location
from tests.inference.control_process import counts_line
from tests.inference.front import FakeFront

DEEP = "a-rather-long-name-of-a-directory-that-no-socket-path-has-room-for" * 2


def listening(path: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_PATH)
    found.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    found.listen(8)
    return found


def answer(server: socket.socket, head: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        assert connection.recv(4096).startswith(b"GET /ping HTTP/1.1\r\n")
        connection.sendall(head)


def test_a_probe_asks_every_socket_once_and_never_waits(tmp_path: Path) -> None:
    folder = tmp_path / DEEP
    folder.mkdir()
    paths = [folder / "s0", folder / "s1"]
    probe = Probe(paths)
    assert not probe.look()  # Nobody is there.
    servers = [listening(path) for path in paths]
    assert not probe.look()
    answer(servers[0], b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert not probe.look()
    answer(servers[1], b"HTTP/1.1 503 Not yet\r\n\r\n")
    assert not probe.look()
    assert not probe.look()  # Asked again.
    connection, _ = servers[1].accept()
    connection.sendall(b"HTTP/1.1 2")
    assert not probe.look()
    connection.sendall(b"00 OK\r\n\r\n")
    assert probe.look()
    connection.close()
    servers[0].settimeout(0.01)
    with pytest.raises(TimeoutError):
        servers[0].accept()
    probe.close()
    for server in servers:
        server.close()


def test_the_front_door_is_asked_what_it_goes_by(tmp_path: Path) -> None:
    page = tmp_path / "run" / "routing.sock"
    assert front_door.ask(page, 0.2) is None
    front = FakeFront(tmp_path)
    try:
        snapshot.write(front.snapshot, version=4, endpoints={})
        front.outstanding = {"r": 3}
        assert front_door.ask(page, 5.0) == front_door.Routed(4, {"r": 3})
        front.deaf = True
        assert front_door.ask(page, 0.2) is None
    finally:
        front.close()


def test_an_answer_that_is_none_counts_as_no_answer(tmp_path: Path) -> None:
    server = listening(tmp_path / "page")
    for reply in (b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\n{}", b"what"):

        def say(reply: bytes = reply) -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply)

        thread = threading.Thread(target=say)
        thread.start()
        assert front_door.ask(tmp_path / "page", 1.0) is None
        thread.join()
    server.close()


def test_the_snapshot_is_private_and_tells_its_version(tmp_path: Path) -> None:
    file = tmp_path / "run" / "endpoints.json"
    assert snapshot.version_of(file) == 0
    snapshot.write(file, version=7, endpoints={"e": {"id": "x"}})
    assert file.stat().st_mode & 0o777 == 0o600
    assert snapshot.version_of(file) == 7
    assert json.loads(file.read_text())["endpoints"] == {"e": {"id": "x"}}
    assert [p.name for p in file.parent.iterdir()] == ["endpoints.json"]
    file.write_text("[")
    assert snapshot.version_of(file) == 0


def test_counts_become_metrics_as_cloudwatch_has_them() -> None:
    lines = [
        counts_line(invocations=3, model_errors=1, **{"5xx": 1}, model_latency_us=[[1000, 2], [2000, 1]]),
        counts_line(invocations=1, **{"4xx": 1}, model_latency_us=[[1000, 1]], capture_dropped=4),
    ]
    points = counts.points(lines, "e", {"AllTraffic": 2})
    found = {(p.name, p.value): p.samples for p in points}
    assert found == {
        ("Invocations", 1.0): 4,
        ("InvocationsPerInstance", 0.5): 4,
        ("Invocation4XXErrors", 1.0): 1,
        ("Invocation4XXErrors", 0.0): 3,
        ("Invocation5XXErrors", 1.0): 1,
        ("Invocation5XXErrors", 0.0): 3,
        ("InvocationModelErrors", 1.0): 1,
        ("InvocationModelErrors", 0.0): 3,
        ("ModelLatency", 1000.0): 3,
        ("ModelLatency", 2000.0): 1,
        ("OverheadLatency", 100.0): 2,
    }
    assert {p.unit for p in points if p.name.endswith("Latency")} == {"Microseconds"}
    assert all(p.dimensions == {"EndpointName": "e", "VariantName": "AllTraffic"} for p in points)
    assert counts.dropped(lines) == {"AllTraffic": 4}


def test_whether_a_variant_was_asked_anything_lately_is_read_from_the_spool(tmp_path: Path) -> None:
    second = 1_000_000
    assert not counts.asked(tmp_path / "nowhere", "a", 0)
    lines = [
        counts_line(at_us=10 * second, variant="a"),
        counts_line(at_us=90 * second, variant="a", invocations=0, capture_dropped=1),
        counts_line(at_us=90 * second, variant="b"),
    ]
    (tmp_path / "counters-1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert counts.asked(tmp_path, "a", 10 * second + 1)  # Somewhere in the second that began then.
    assert not counts.asked(tmp_path, "a", 11 * second)
    assert counts.asked(tmp_path, "b", 90 * second)
    (tmp_path / "counters-2.jsonl").write_text(json.dumps(counts_line(at_us=99 * second, variant="a")) + "\n")
    assert counts.asked(tmp_path, "a", 60 * second)
    assert counts.asked(tmp_path, "b", 60 * second)


def test_many_latencies_are_put_together() -> None:
    values = [[value, 1] for value in range(1000, 2000, 5)]
    points = counts.points([counts_line(invocations=200, model_latency_us=values)], "e", {})
    latencies = [p for p in points if p.name == "ModelLatency"]
    assert len(latencies) <= 11
    assert sum(p.samples for p in latencies) == 200


def test_lines_that_are_none_are_left_out_and_half_ones_waited_for(tmp_path: Path) -> None:
    good = json.dumps(counts_line()) + "\n"
    wrong = ['{"variant": 1}\n', "nonsense\n", json.dumps(counts_line(invocations="x")) + "\n", "[]\n"]
    (tmp_path / "counters-1.jsonl").write_text(good + "".join(wrong) + good + good[:-5])
    part = counts.read(tmp_path, "counters-1.jsonl", 0)
    assert len(part.lines) == 2
    assert part.end == len(good + "".join(wrong) + good)
    assert counts.files(tmp_path) == ["counters-1.jsonl"]
    assert counts.files(tmp_path / "nowhere") == []


def test_captured_files_keep_their_place_and_leave_no_folders(tmp_path: Path) -> None:
    names = ["AllTraffic/2026/01/02/03/04-05-006-a.jsonl", "AllTraffic/2026/01/02/03/05-00-000-b.jsonl.open"]
    for name in names:
        path = tmp_path / "capture" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    (file,) = captured.closed_files(tmp_path)
    assert file.as_posix() == names[0]
    assert captured.variant_of(file) == "AllTraffic"
    target = captured.target(S3Location("bucket", "to/here/"), "endpoint", file)
    assert str(target) == f"s3://bucket/to/here/endpoint/{names[0]}"
    later = datetime(2026, 1, 5, tzinfo=UTC)
    captured.remove(tmp_path, file, later)
    assert (tmp_path / "capture" / names[1]).exists()
    (tmp_path / "capture" / names[1]).unlink()
    captured.remove(tmp_path, file, datetime(2026, 1, 2, 3, 59, tzinfo=UTC))
    assert (tmp_path / "capture/AllTraffic/2026/01/02/03").exists()
    captured.remove(tmp_path, file, later)
    assert not (tmp_path / "capture/AllTraffic/2026/01/02").exists()
    assert list(captured.closed_files(tmp_path / "nowhere")) == []


def test_what_was_read_of_a_log_gives_its_room_back(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_bytes(os.urandom(8 << 20))
    end = log.read_bytes()[-(1 << 20) :]
    taken = log.stat().st_blocks
    if not log_space.release(log, 8 << 20):
        pytest.fail("this file system cannot punch holes")
    assert log.stat().st_size == 8 << 20
    assert log.stat().st_blocks < taken / 2
    assert log.read_bytes()[-(1 << 20) :] == end
    assert log_space.release(tmp_path / "nothing", 8 << 20)


def test_a_probe_that_is_forgotten_takes_its_questions_back(tmp_path: Path) -> None:
    server = listening(tmp_path / "s0")
    probe = Probe([tmp_path / "s0"])
    assert not probe.look()
    connection, _ = server.accept()
    assert connection.recv(4096).startswith(b"GET /ping")
    # In a cycle, as a reconcile loop and its threads are: then only the collector finds it.
    cycle: list[object] = [probe]
    cycle.append(cycle)
    del probe, cycle
    gc.collect()
    connection.settimeout(5)
    assert connection.recv(1) == b""
    connection.close()
    server.close()
