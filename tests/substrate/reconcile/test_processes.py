"""Several control planes on one database, and one that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from sagebrush.substrate import faultpoints
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import fetch_by_id, insert
from sagebrush.substrate.resources.tables import resources
from tests.conftest import Database
from tests.substrate.declared import JOB, call_on, platform_on

PROGRAM = """
import os, sys, pathlib, threading
from sagebrush.substrate import faultpoints
from sagebrush.substrate.reconcile import Again, Done, ReconcileLoop
from sagebrush.substrate.resources import transition
from sagebrush.substrate.store import STATE, open_store
from tests.substrate.declared import JOB, platform_on

log = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
store = open_store(STATE, path=pathlib.Path(sys.argv[1]), url=sys.argv[2])
platform = platform_on(store)

class Worker:
    resource = JOB
    def give_up(self, platform, row, lease, error):
        raise error
    def step(self, platform, row, lease):
        steps = row.body.get("Steps", 0)
        if steps == 3:
            store.write(lambda tx: transition(tx, JOB, row, "complete", now_us=2, lease=lease))
            return Done()
        def record(tx):
            transition(tx, JOB, row, "progress", now_us=1, lease=lease, changes={"Steps": steps + 1})
            store.after_commit(lambda: os.write(log, f"{row.name} {steps + 1}\\n".encode()))
        store.write(record)
        return Again()

faultpoints.arm(os.environ)
loop = ReconcileLoop(platform, [Worker()], 4)
loop.start()
sys.stdin.read()
loop.stop()
store.close()
"""


class ControlPlane:
    """A process with a reconcile loop."""

    def __init__(self, database: Database, log: Path, fault: str = ""):
        environ = os.environ | {faultpoints.VARIABLE: fault}
        command = [sys.executable, "-c", PROGRAM, str(database.path), database.url, str(log)]
        self.process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    def stop(self) -> None:
        _, said = self.process.communicate()
        assert self.process.returncode == 0, said.decode()
        assert b"Traceback" not in said, said.decode()


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


def create(platform: Platform, count: int) -> list[str]:
    call = call_on(platform)
    return [
        platform.store.write(lambda tx, n=n: insert(tx, JOB, call=call, name=f"job-{n}", body={})).id  # type: ignore[misc]
        for n in range(count)
    ]


def completed(platform: Platform, ids: list[str]) -> bool:
    rows = [platform.store.read(lambda c, i=i: fetch_by_id(c, i)) for i in ids]  # type: ignore[misc]
    return all(row is not None and row.status == "Completed" for row in rows)


def test_control_planes_that_contend_record_every_step_once(database: Database, tmp_path: Path) -> None:
    platform = platform_on(database.open())
    log = tmp_path / "steps"
    planes = [ControlPlane(database, log) for _ in range(2)]
    ids = create(platform, 20)
    eventually(lambda: completed(platform, ids))
    for plane in planes:
        plane.stop()
    platform.store.close()
    steps = Counter(log.read_text().splitlines())
    assert set(steps.values()) == {1}
    assert len(steps) == 60


@pytest.mark.fault
@pytest.mark.parametrize(
    "point", ["reconcile.before-step", "reconcile.after-step", "resources.after-status-before-event"]
)
def test_a_dead_processs_work_is_taken_over_at_once_and_done_once(
    database: Database, tmp_path: Path, point: str
) -> None:
    assert point in faultpoints.declared()
    platform = platform_on(database.open())
    ids = create(platform, 6)
    log = tmp_path / "steps"
    victim = ControlPlane(database, log, fault=f"{point}:7")
    assert victim.process.wait(60) == -signal.SIGKILL
    victim.process.communicate()
    assert not completed(platform, ids)
    # So far off that only the death of their owner can end these leases.
    never = resources.c.lease_owner.is_not(None)
    platform.store.write(lambda tx: tx.execute(update(resources).where(never).values(lease_until_us=2**62)))
    successor = ControlPlane(database, log)
    eventually(lambda: completed(platform, ids))
    successor.stop()
    platform.store.close()
    steps = Counter(log.read_text().splitlines())
    assert set(steps.values()) == {1}
    assert set(steps) <= {f"job-{n} {step}" for n in range(6) for step in (1, 2, 3)}
