"""What the front door leaves behind: counts that add up, captured data that is whole, whatever the disk does."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagebrush.planes.front.invocations import spool as spool_module
from sagebrush.planes.front.invocations.capture import CaptureFiles, Content, Record, recover
from sagebrush.planes.front.invocations.counts import Counts, Second, histogram, rounded
from sagebrush.planes.front.invocations.snapshot import Capture
from sagebrush.planes.front.invocations.spool import Spool
from sagebrush.substrate.clock import ManualClock, SystemClock
from tests.planes.front.invoking import JSON, Inferno, endpoint, poll, variant
from tests.planes.front.test_invocations import ask, refused

Start = Callable[..., Inferno]
EVERYTHING = {
    "percentage": 100,
    "modes": ["Input", "Output"],
    "csv_content_types": ["text/csv"],
    "json_content_types": [JSON],
}
BOTH = Capture(100.0, True, True, frozenset({"text/csv"}), frozenset({JSON}))


def captured(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("capture/*/*/*/*/*/*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


# --- counts ----------------------------------------------------------------------------------------------------------


def test_counts_add_up_exactly_to_the_requests(inferno: Start) -> None:
    around = inferno()
    a, b = around.worker("a"), around.worker("b")
    around.route(e=endpoint("e", variant("one", a.path), variant("two", b.path)))
    runtime = around.runtime(max_pool_connections=8)

    def one(i: int) -> None:
        if i % 10 == 0:
            refused(ask, runtime, {"do": "error", "status": 400})
        elif i % 10 == 1:
            refused(ask, runtime, {"do": "error", "status": 500})
        elif i % 10 == 2:
            refused(ask, runtime, {"do": "close"})
        elif i % 10 == 3:
            refused(ask, runtime, name="nobody")
        else:
            ask(runtime)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(500)))
    counts = around.counts()
    assert counts.pop("variant", None) is None
    assert counts == {
        "invocations": 450,
        "4xx": 50,
        "5xx": 100,
        "model_errors": 150,
        "capture_dropped": 0,
        "model_latency_us": 450,
        "overhead_latency_us": 450,
    }
    lines = [
        json.loads(line)
        for file in (around.root / "endpoints/e/spool").glob("counters-*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert {line["variant"] for line in lines} == {"one", "two"}
    assert all(line["at_us"] % 1_000_000 == 0 for line in lines)
    assert all(value >= 0 for line in lines for value, _ in line["model_latency_us"] + line["overhead_latency_us"])


def test_counts_are_written_when_the_front_door_stops(inferno: Start) -> None:
    around = inferno()
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path), capture=EVERYTHING))
    ask(around.runtime())
    around.front.stop()
    (file,) = (around.root / "endpoints/e/spool").glob("counters-*.jsonl")
    assert json.loads(file.read_text())["invocations"] == 1
    assert len(file.stem) == len("counters-") + 16
    assert len(captured(around.root / "endpoints/e/spool")) == 1
    around.front.stop = lambda: None  # type: ignore[method-assign]


def test_what_was_removed_with_its_endpoint_does_not_come_back(inferno: Start) -> None:
    around = inferno()
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path), spool="endpoints/gone/spool"))
    ask(around.runtime())
    around.page()
    assert not (around.root / "endpoints/gone").exists()


def test_seconds_are_kept_apart_and_a_clock_that_goes_back_loses_nothing() -> None:
    done: list[Second] = []
    clock = [10_500_000]
    counts = Counts("v", lambda: clock[0], done.append)
    for now in (10_500_000, 10_999_999, 11_000_000, 9_000_000):
        clock[0] = now
        counts.current.invocations += 1
    counts.roll()
    clock[0] = 10_000_000
    counts.roll()
    counts.flush()
    assert [(second.at_us, second.invocations) for second in done] == [(10_000_000, 2), (11_000_000, 1), (9_000_000, 1)]


@given(st.lists(st.integers(0, 10**9), max_size=400))
def test_a_histogram_is_short_and_close_and_counts_every_value(values: list[int]) -> None:
    pairs = histogram(values)
    assert len(pairs) <= 100
    assert sum(count for _, count in pairs) == len(values)
    if len(set(values)) <= 100:
        assert all(abs(rounded(value, 3) - value) * 200 <= value for value in values)


def test_a_counts_file_that_has_grown_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_COUNTS_FILE_BYTES", 1000)
    clock = ManualClock()
    spool = Spool(tmp_path, clock)
    for i in range(30):
        clock.advance(1)
        spool.counted("s", Second("v", i))
    spool.close()
    files = sorted((tmp_path / "s").glob("counters-*.jsonl"))
    assert len(files) > 3
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert [line["at_us"] for line in lines] == list(range(30))


def test_counts_that_a_full_disk_did_not_take_are_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]
    really = os.pwrite

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        if full[0]:
            really(descriptor, data[:7], at)
            raise OSError(28, "No space left on device")
        return really(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    spool = Spool(tmp_path, SystemClock())
    dropped: list[int] = []
    for i in range(5):
        spool.counted("s", Second("v", i))
        assert spool.captured(record("s", dropped))
    poll(lambda: len(dropped) == 5, "the captured data to be dropped")
    full[0] = False
    spool.counted("s", Second("v", 5))
    assert spool.captured(record("s", dropped))
    spool.close()
    (file,) = (tmp_path / "s").glob("counters-*.jsonl")
    assert [json.loads(line)["at_us"] for line in file.read_text().splitlines()] == list(range(6))
    assert len(captured(tmp_path / "s")) == 1
    assert not list((tmp_path / "s").rglob("*.open"))


# --- captured data ---------------------------------------------------------------------------------------------------


def record(directory: str, dropped: list[int], body: bytes = b"1,2", at_us: int = 1_700_000_000_000_000) -> Record:
    content = Content("text/csv", body)
    return Record(directory, "v", BOTH, at_us, content, content, None, None, lambda: dropped.append(1))


def test_what_is_captured_is_complete_and_as_documented(inferno: Start) -> None:
    around = inferno()
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path), capture=EVERYTHING))
    runtime = around.runtime()
    for i in range(20):
        ask(runtime, {"id": i}, InferenceId=f"inference-{i}", CustomAttributes=f"custom-{i}")
    runtime.invoke_endpoint(EndpointName="e", Body=b"1,2,3\xff", ContentType="text/csv")
    runtime.invoke_endpoint(EndpointName="e", Body=b"1,2,3", ContentType="text/csv; charset=utf-8")
    runtime.invoke_endpoint(EndpointName="e", Body=b"\x00\x01", ContentType="image/png")
    refused(ask, runtime, {"do": "error", "status": 500})
    around.route()  # Its files are closed with the endpoint.
    records = captured(around.root / "endpoints/e/spool")
    assert len(records) == 23
    found = {one["eventMetadata"].get("inferenceId"): one for one in records}
    assert set(found) == {None, *(f"inference-{i}" for i in range(20))}
    one = found["inference-3"]
    assert one["eventVersion"] == "0"
    assert set(one["eventMetadata"]) == {"eventId", "inferenceId", "customAttributes", "inferenceTime"}
    assert one["eventMetadata"]["customAttributes"] == "custom-3"
    assert datetime.strptime(one["eventMetadata"]["inferenceTime"], "%Y-%m-%dT%H:%M:%SZ")
    assert one["captureData"]["endpointInput"] == {
        "observedContentType": JSON,
        "mode": "INPUT",
        "data": '{"id": 3}',
        "encoding": "JSON",
    }
    output = one["captureData"]["endpointOutput"]
    assert (output["mode"], output["encoding"], json.loads(output["data"])["told"]) == ("OUTPUT", "JSON", {"id": 3})
    inputs = [one["captureData"]["endpointInput"] for one in records if "inferenceId" not in one["eventMetadata"]]
    assert sorted((i["encoding"], i["data"]) for i in inputs) == [
        ("BASE64", base64.b64encode(b"\x00\x01").decode()),
        ("BASE64", base64.b64encode(b"1,2,3\xff").decode()),
        ("CSV", "1,2,3"),
    ]
    (first, *_) = (around.root / "endpoints/e/spool/capture/AllTraffic").rglob("*.jsonl")
    folder = first.parent.relative_to(around.root / "endpoints/e/spool/capture/AllTraffic")
    assert datetime.strptime(str(folder), "%Y/%m/%d/%H")
    assert around.counts()["capture_dropped"] == 0


def test_only_the_chosen_side_and_share_is_captured(inferno: Start) -> None:
    around = inferno()
    worker = around.worker()
    chosen = EVERYTHING | {"modes": ["Output"], "percentage": 30}
    around.route(e=endpoint("e", variant("AllTraffic", worker.path), capture=chosen))
    runtime = around.runtime()
    for _ in range(200):
        ask(runtime)
    around.route(e=endpoint("e", variant("AllTraffic", worker.path), capture=chosen | {"percentage": 0}))
    for _ in range(20):
        ask(runtime)
    around.route()
    records = captured(around.root / "endpoints/e/spool")
    assert 25 <= len(records) <= 100
    assert all(set(one["captureData"]) == {"endpointOutput"} for one in records)


def test_what_streams_through_is_not_captured_but_counted(inferno: Start) -> None:
    around = inferno()
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path), capture=EVERYTHING))
    body = json.dumps({"do": "bytes", "count": 20_000_000})
    assert len(around.runtime().invoke_endpoint(EndpointName="e", Body=body)["Body"].read()) == 20_000_000
    assert around.counts()["capture_dropped"] == 1


def test_beyond_the_queue_captured_data_is_dropped_and_counted(inferno: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_MOST_RECORDS", 0)
    around = inferno()
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path), capture=EVERYTHING))
    for _ in range(7):
        ask(around.runtime())
    assert around.counts()["capture_dropped"] == 7
    assert around.counts()["invocations"] == 7


def test_files_are_closed_by_age_and_size_and_hour(tmp_path: Path) -> None:
    clock = ManualClock(1_700_000_000_000_000)
    files = CaptureFiles(tmp_path, clock, seconds=5, most_bytes=2000)
    (tmp_path / "s").mkdir()
    dropped: list[int] = []
    files.write([record("s", dropped, at_us=clock.now_us())])
    assert captured(tmp_path / "s") == []
    clock.advance(4.9)
    files.close_due()
    assert captured(tmp_path / "s") == []
    assert files.due_us() is not None
    clock.advance(0.2)
    files.close_due()
    assert len(captured(tmp_path / "s")) == 1
    files.write([record("s", dropped, b"x" * 3000, clock.now_us())])
    assert len(captured(tmp_path / "s")) == 2
    files.write([record("s", dropped, at_us=clock.now_us()), record("s", dropped, at_us=clock.now_us() + 3600 * 10**6)])
    assert len(list((tmp_path / "s").rglob("*.open"))) == 2
    files.close()
    assert len(captured(tmp_path / "s")) == 4
    assert len({file.parent for file in (tmp_path / "s").rglob("*.jsonl")}) == 2
    assert files.due_us() is None
    assert dropped == []


def test_what_a_killed_process_left_open_is_closed_without_its_last_line(tmp_path: Path) -> None:
    folder = tmp_path / "s/capture/v/2026/01/02/03"
    folder.mkdir(parents=True)
    (folder / "a.jsonl.open").write_bytes(b'{"a": 1}\n{"b": 2}\n{"half')
    (folder / "b.jsonl.open").write_bytes(b'{"half')
    (folder / "c.jsonl.open").write_bytes(b'{"c": 3}\n')
    recover(tmp_path, "s")
    assert sorted(file.name for file in folder.iterdir()) == ["a.jsonl", "c.jsonl"]
    assert captured(tmp_path / "s") == [{"a": 1}, {"b": 2}, {"c": 3}]
    recover(tmp_path, "not there")
