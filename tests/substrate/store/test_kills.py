"""kill -9 at each of the store's points: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from sqlalchemy import text

from sagebrush.substrate import faultpoints
from sagebrush.substrate.store import OBJECTS
from tests.conftest import Database

WRITERS = 4
PROGRAM = """
import os, sys, pathlib, threading
from sqlalchemy import text
from sagebrush.substrate import faultpoints
from sagebrush.substrate.store import OBJECTS, open_store

store = open_store(OBJECTS, path=pathlib.Path(sys.argv[1]), url=sys.argv[2])
faultpoints.arm(os.environ)

def put(number):
    def run(tx):
        tx.execute(text("INSERT INTO pins (holder, file) VALUES (:n, 'first')"), {"n": str(number)})
        tx.execute(text("INSERT INTO pins (holder, file) VALUES (:n, 'second')"), {"n": str(number)})
        store.after_commit(lambda: None)
    return run

def client(first):
    for number in range(first, first + 1_000_000):
        store.write(put(number))
        os.write(1, f"{number}\\n".encode())

for index in range(4):
    threading.Thread(target=client, args=(index * 1_000_000,)).start()
"""


@pytest.mark.fault
@pytest.mark.parametrize("point", ["store.before-commit", "store.after-commit", "store.before-wake-up"])
def test_a_kill_loses_nothing_acknowledged_and_leaves_nothing_by_half(database: Database, point: str) -> None:
    assert point in faultpoints.declared()
    database.open(OBJECTS).close()
    environ = os.environ | {faultpoints.VARIABLE: f"{point}:25"}
    command = [sys.executable, "-c", PROGRAM, str(database.path), database.url]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == -signal.SIGKILL, result.stderr
    acknowledged = {int(line) for line in result.stdout.splitlines()}
    store = database.open(OBJECTS)
    rows = store.read(lambda c: c.execute(text("SELECT holder, file FROM pins")).all())
    store.close()
    first = {int(holder) for holder, file in rows if file == "first"}
    second = {int(holder) for holder, file in rows if file == "second"}
    assert len(acknowledged) >= 20
    assert first == second
    assert acknowledged <= first
    # Of each writer at most the one transaction that was under way may be there unacknowledged.
    assert len(first - acknowledged) <= WRITERS


def test_an_unarmed_point_does_nothing() -> None:
    point = faultpoints.declare("test.nowhere")
    faultpoints.arm({})
    faultpoints.reach(point)
    assert point in faultpoints.declared()


def test_a_point_kills_at_its_count_and_not_before() -> None:
    program = (
        "import os; from sagebrush.substrate import faultpoints\n"
        "point = faultpoints.declare('test.third')\n"
        "faultpoints.arm({'SAGEBRUSH_FAULT_POINT': 'test.third:3'})\n"
        "faultpoints.reach(faultpoints.declare('test.other'))\n"
        "for number in (1, 2, 3, 4):\n"
        "    os.write(1, b'%d' % number)\n"
        "    faultpoints.reach(point)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (-signal.SIGKILL, b"123")
