"""kill -9 of the control plane at every point of an endpoint's life, and control planes that come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

import sagebrush.inference
from sagebrush.inference import tables
from sagebrush.inference.reconcilers.sweeping import sweep
from sagebrush.substrate import faultpoints
from sagebrush.substrate.objects.tables import pins
from tests.inference.control_process import INVOCATIONS, NAME, counted
from tests.inference.running import Running, eventually, start

ROOT = Path(__file__).parents[2]
assert sagebrush.inference
POINTS = sorted(p for p in faultpoints.declared() if p.startswith(("inference.", "capture.")))


def control_plane(data_dir: Path, point: str = "") -> int:
    """Run a control plane until the endpoint is gone, or the point has killed it; its exit code."""
    environ = {k: v for k, v in os.environ.items() if k != faultpoints.VARIABLE}
    if point:
        environ[faultpoints.VARIABLE] = point
    command = [sys.executable, "-m", "tests.inference.control_process", str(data_dir)]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False, timeout=90).returncode


def assert_nothing_is_left(data_dir: Path) -> None:
    running = start(data_dir)
    try:
        assert running.gone(NAME)
        assert running.shims() == []
        assert not list(data_dir.glob("endpoints/*"))
        for table in (tables.replicas, tables.artefacts, tables.spools, tables.routes):
            assert running.platform.store.read(lambda conn, table=table: conn.execute(select(table)).all()) == []  # type: ignore[misc]
        held = running.platform.objects._index.read(lambda conn: conn.execute(select(pins)).all())
        assert held == []
        assert json.loads((data_dir / "run/endpoints.json").read_text())["endpoints"] == {}
        # One replica for each fleet, whatever was killed; each line of it once, each count once, each capture once.
        assert sum("serving with" in line for line in running.log(NAME)) == 2
        assert sum(line.startswith("[sagebrush] Environment") for line in running.log(NAME)) <= 2
        assert counted(running) == INVOCATIONS
        assert running.keys("captured/") == [f"captured/{NAME}/AllTraffic/2026/01/02/03/04-05-006-x.jsonl"]
    finally:
        running.close()


@pytest.mark.fault
@pytest.mark.parametrize("point", POINTS)
def test_a_control_plane_killed_at_a_named_point_leaves_neither_orphan_nor_duplicate(
    tmp_path: Path, point: str
) -> None:
    assert control_plane(tmp_path / "data", point) == -signal.SIGKILL, f"{point} was not reached"
    assert control_plane(tmp_path / "data") == 0
    assert_nothing_is_left(tmp_path / "data")


@pytest.mark.fault
def test_kills_at_every_point_one_after_the_other(tmp_path: Path) -> None:
    for point in POINTS:
        control_plane(tmp_path / "data", point)
    assert control_plane(tmp_path / "data") == 0
    assert_nothing_is_left(tmp_path / "data")


def abandon(running: Running) -> None:
    """What a killed control plane leaves: replicas that run."""
    running.loop.stop()
    running.platform.compute.close()
    running.platform.objects.close()
    running.platform.objects._index.close()
    running.platform.store.close()
    assert running.front is not None
    running.front.close()


def test_replicas_that_run_go_on_under_the_next_control_plane(tmp_path: Path) -> None:
    first = start(tmp_path / "data")
    first.deploy("adopted")
    assert first.front is not None
    before = first.front.look()["adopted"]
    version = first.front.version
    abandon(first)
    second = start(tmp_path / "data")
    try:
        front = second.front
        assert front is not None
        # The routes are written anew at once, the same as before, as a newer version.
        eventually(lambda: front.look() and front.version > version)
        assert front.look()["adopted"] == before
        assert second.describe("adopted")["EndpointStatus"] == "InService"
        (replica,) = front.replicas("adopted")
        assert [d.name for d in second.shims()] == [replica]
        second.platform.compute.launcher.kill(second.shims()[0])
        eventually(lambda: front.replicas("adopted") not in ([], [replica]))
        second.deleted("adopted")
    finally:
        second.close()


def test_what_nobody_knows_of_is_ended_and_removed(tmp_path: Path) -> None:
    """As after a database was put back: a replica runs of which there is no record."""
    first = start(tmp_path / "data")
    first.deploy("stray")
    (directory,) = first.shims()
    abandon(first)
    second = start(tmp_path / "data", reconciles=False)
    try:
        endpoint_id = directory.parent.name
        second.platform.store.write(lambda tx: tables.remove_replica(tx, directory.name))
        assert sweep(second.platform) == 1
        assert second.shims() == []
        assert (tmp_path / "data/endpoints" / endpoint_id).is_dir()
    finally:
        second.close()


def test_an_endpoint_does_not_settle_before_the_front_door_knows(running: Running) -> None:
    front = running.front
    assert front is not None
    front.deaf = True
    running.create("patient")
    eventually(lambda: front.replicas("patient"))
    assert running.describe("patient")["EndpointStatus"] == "Creating"
    front.deaf = False
    assert running.settled("patient")["EndpointStatus"] == "InService"
    front.deaf = True
    running.call("DeleteEndpoint", EndpointName="patient")
    running.call("DeleteEndpoint", EndpointName="patient")  # A client whose answer was lost asks again.
    eventually(lambda: "patient" not in front.look())
    assert running.shims()
    front.deaf = False
    eventually(lambda: running.gone("patient"))
