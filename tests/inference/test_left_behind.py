"""What replicas print and the front door leaves, on its way to CloudWatch and S3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sagebrush.inference.engine import log_space
from sagebrush.inference.reconcilers import capturing, counting, logs
from sagebrush.inference.reconcilers.capturing import Capturing
from tests.inference.control_process import counted, counts_line, leave
from tests.inference.requests import BUCKET, capture_config
from tests.inference.running import Running, eventually


def spool(running: Running, name: str) -> Path:
    assert running.front is not None
    return running.platform.settings.data_dir / running.front.look()[name]["spool"]


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Carries over at once what tests leave one after the other."""
    monkeypatch.setattr(counting, "_PAUSE_US", 0)
    monkeypatch.setattr(capturing, "_PAUSE_US", 200_000)


@pytest.mark.usefixtures("prompt")
def test_counts_are_carried_over_once_and_old_files_removed(running: Running) -> None:
    running.deploy("counted")
    folder = spool(running, "counted")
    folder.mkdir(exist_ok=True)
    first, second = folder / "counters-0000000000000001.jsonl", folder / "counters-0000000000000002.jsonl"
    line = json.dumps(counts_line(invocations=2, **{"4xx": 1}, model_latency_us=[[1000, 1], [3000, 1]])) + "\n"
    first.write_text(line)
    eventually(lambda: counted(running, "counted") == 2)
    with first.open("a") as file:
        file.write(line + line[:10])
    eventually(lambda: counted(running, "counted") == 4)
    with first.open("a") as file:
        file.write(line[10:])
    second.write_text(json.dumps(counts_line(invocations=1, capture_dropped=3)) + "\n")
    eventually(lambda: counted(running, "counted") == 7)
    eventually(lambda: not first.exists())
    assert second.exists()
    assert counted(running, "counted", "Invocation4XXErrors") == 3
    assert counted(running, "counted", "Invocation4XXErrors", "samples") == 7
    assert counted(running, "counted", "ModelLatency") == 3 * 4000 + 1000
    assert counted(running, "counted", "InvocationsPerInstance") == 7
    eventually(lambda: any("3 captured requests or answers were dropped" in text for text in running.log("counted")))
    running.deleted("counted")


def test_what_is_left_at_the_last_moment_is_carried_over_before_the_endpoint_is_gone(running: Running) -> None:
    running.model("late")
    running.config("late", DataCaptureConfig=capture_config(f"s3://{BUCKET}/captured/"))
    running.call("CreateEndpoint", EndpointName="late", EndpointConfigName="late")
    described = running.settled("late")
    assert described["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/captured/",
        "KmsKeyId": "",
    }
    folder = spool(running, "late")
    front = running.front
    assert front is not None
    front.deaf = True
    running.call("DeleteEndpoint", EndpointName="late")
    eventually(lambda: "late" not in front.look())
    leave(folder / "counters-0000000000000009.jsonl", json.dumps(counts_line(invocations=9)) + "\n")
    for number in range(40):
        leave(folder / f"capture/AllTraffic/2026/01/02/03/{number:02}-00-000-x.jsonl", f'{{"n": {number}}}\n')
    front.deaf = False
    eventually(lambda: running.gone("late"))
    assert counted(running, "late") == 9
    keys = running.keys("captured/late/AllTraffic/2026/01/02/03/")
    assert len(keys) == 40
    _, stream = running.platform.objects.open(BUCKET, keys[7])
    with stream:
        assert stream.read() == b'{"n": 7}\n'


@pytest.mark.usefixtures("prompt")
def test_captured_data_wait_while_the_role_may_not_store_them(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.model("denied")
    running.config("denied", DataCaptureConfig=capture_config(f"s3://{BUCKET}/captured"))
    running.call("CreateEndpoint", EndpointName="denied", EndpointConfigName="denied")
    running.settled("denied")
    running.guard.denied.add(("s3:PutObject", f"arn:aws:s3:::{BUCKET}/captured/"))
    file = spool(running, "denied") / "capture/AllTraffic/2026/01/02/03/00-00-000-x.jsonl"
    refusals: list[str] = []
    upload = Capturing._upload

    def noted(*arguments: Any, **more: Any) -> str:
        refusals.append(upload(*arguments, **more))
        return refusals[-1]

    monkeypatch.setattr(Capturing, "_upload", noted)
    leave(file, "{}\n")
    # Refused, and asked again: what was refused is still there then.
    eventually(lambda: len(refusals) >= 2)
    assert all("AccessDenied" in refusal for refusal in refusals), refusals
    assert file.exists()
    assert running.keys("captured/") == []
    running.guard.denied.clear()
    eventually(lambda: running.keys("captured/") and not file.exists())
    # At the end nothing is waited for.
    running.guard.denied.add(("s3:PutObject", f"arn:aws:s3:::{BUCKET}/captured/"))
    leave(file, "{}\n")
    running.deleted("denied")
    assert len(running.keys("captured/")) == 1


def test_lines_reach_the_log_while_the_replica_serves(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_RELEASE_BYTES", 64)
    released: list[int] = []
    monkeypatch.setattr(log_space, "release", lambda log, end: released.append(end))
    running.deploy("chatty", TOLD="chatty")
    eventually(lambda: running.log("chatty").count("line") > 3)
    running.deleted("chatty")
    assert released == sorted(released)
    lines = running.log("chatty")
    assert lines.count("asked /ping") == 2
    assert lines[0].startswith("[sagebrush] Environment tests")
