"""kill -9 in the middle of a transition: status, history, event and meter are all there or none is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sagebrush.substrate import faultpoints
from sagebrush.substrate.events import read_after
from sagebrush.substrate.resources import fetch, transitions_of
from tests.conftest import Database
from tests.substrate.declared import ACCOUNT, JOB, REGION

PROGRAM = """
import os, sys, pathlib
from sagebrush.substrate import faultpoints
from sagebrush.substrate.resources import insert, transition
from sagebrush.substrate.store import STATE, open_store
from tests.substrate.declared import JOB, call_on, platform_on

platform = platform_on(open_store(STATE, path=pathlib.Path(sys.argv[1]), url=sys.argv[2]))
store = platform.store
row = store.write(lambda tx: insert(tx, JOB, call=call_on(platform), name="job", body={}, secondary="0"))
faultpoints.arm(os.environ)
for number in range(1, 100):
    row = store.write(lambda tx: transition(tx, JOB, row, "progress", now_us=number, secondary=str(number)))
    os.write(1, f"{number}\\n".encode())
"""


@pytest.mark.fault
@pytest.mark.parametrize("point", ["resources.after-status-before-event", "store.before-commit", "store.after-commit"])
def test_a_transition_that_is_killed_happened_whole_or_not_at_all(database: Database, point: str) -> None:
    assert point in faultpoints.declared()
    database.open().close()
    environ = os.environ | {faultpoints.VARIABLE: f"{point}:5"}
    command = [sys.executable, "-c", PROGRAM, str(database.path), database.url]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == -signal.SIGKILL, result.stderr
    acknowledged = [int(line) for line in result.stdout.splitlines()]
    assert acknowledged == [1, 2, 3, 4]
    store = database.open()
    row = store.read(lambda c: fetch(c, JOB, ACCOUNT, REGION, "job"))
    history = store.read(lambda c: transitions_of(c, row.id))
    events = store.read(lambda c: read_after(c, 0))
    store.close()
    happened = 5 + (point == "store.after-commit")
    assert row.generation == happened
    assert [entry["secondary"] for entry in history] == [str(number) for number in range(happened)]
    assert [event.sequence for event in events] == list(range(1, happened + 1))
