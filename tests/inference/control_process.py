"""A control plane to be killed: ``python -m tests.inference.control_process DATA_DIR``.

Brings the endpoint ``once`` through its life: created, counted and captured from, updated, deleted. Whatever was done
before a kill is not done again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sagebrush.substrate import faultpoints
from sagebrush.substrate.errors import CallerError
from tests.inference.requests import BUCKET, capture_config
from tests.inference.running import Running, eventually, start

NAME = "once"
INVOCATIONS = 5


def main() -> None:
    faultpoints.arm(os.environ)
    running = start(Path(sys.argv[1]))
    progress = Path(sys.argv[1]) / "progress"
    for number, step in enumerate((created, left_behind, updated, deleted)):
        if number >= (int(progress.read_text()) if progress.exists() else 0):
            step(running)
            progress.write_text(str(number + 1))
    running.close()


def created(running: Running) -> None:
    with contextlib.suppress(CallerError):
        running.model(NAME)
    with contextlib.suppress(CallerError):
        running.config(NAME, DataCaptureConfig=capture_config(f"s3://{BUCKET}/captured"))
    with contextlib.suppress(CallerError):
        running.call("CreateEndpoint", EndpointName=NAME, EndpointConfigName=NAME)
    assert running.settled(NAME)["EndpointStatus"] == "InService", running.tell(NAME)


def left_behind(running: Running) -> None:
    """What the front door would leave."""
    assert running.front is not None
    spool = running.platform.settings.data_dir / running.front.look()[NAME]["spool"]
    if not counted(running):
        leave(spool / "counters-0000000000000001.jsonl", json.dumps(counts_line(invocations=INVOCATIONS)) + "\n")
        leave(spool / "capture/AllTraffic/2026/01/02/03/04-05-006-x.jsonl", "{}\n")
    eventually(lambda: counted(running) == INVOCATIONS and running.keys("captured/"))


def updated(running: Running) -> None:
    with contextlib.suppress(CallerError):
        running.model("second")
    with contextlib.suppress(CallerError):
        running.config("second")
    described = running.describe(NAME)
    if described["EndpointStatus"] == "InService" and described["EndpointConfigName"] == NAME:
        running.call("UpdateEndpoint", EndpointName=NAME, EndpointConfigName="second")
    described = running.settled(NAME)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "second"), described


def deleted(running: Running) -> None:
    with contextlib.suppress(CallerError):
        running.call("DeleteEndpoint", EndpointName=NAME)
    eventually(lambda: running.gone(NAME), lambda: running.tell(NAME))


def leave(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}")
    beside.write_text(text)
    beside.rename(file)


def counts_line(**changes: Any) -> dict[str, Any]:
    """One second of a variant's counts."""
    line = {
        "at_us": int(datetime(2026, 1, 2, tzinfo=UTC).timestamp() * 1e6),
        "variant": "AllTraffic",
        "invocations": 1,
        "4xx": 0,
        "5xx": 0,
        "model_errors": 0,
        "capture_dropped": 0,
        "model_latency_us": [[1000, 1]],
        "overhead_latency_us": [[100, 1]],
    }
    return line | changes


def counted(running: Running, name: str = NAME, metric: str = "Invocations", statistic: str = "total") -> float:
    """What CloudWatch has of a metric."""
    metrics = running.platform.telemetry.metrics

    def look(conn: Any) -> float:
        found = metrics.statistics(
            conn,
            "AWS/SageMaker",
            metric,
            {"EndpointName": name, "VariantName": "AllTraffic"},
            start_us=0,
            end_us=1 << 62,
            period_seconds=86_400,
        )
        return float(sum(getattr(aggregate, statistic) for aggregate in found))

    return running.platform.store.read(look)


if __name__ == "__main__":
    main()
