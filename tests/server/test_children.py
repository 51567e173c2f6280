"""The supervisor's children: started in place, noticed when they end, restarted with growing pauses."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.server import lifeline
from sagebrush.server.children import Child
from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import ManualClock, SystemClock


def poll(question: object) -> None:
    end = time.monotonic() + 20
    while not question():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def child(tmp_path: Path, clock: ManualClock) -> Iterator[Child]:
    """The interpreter's own web server: a process that stays."""
    environ = dict(os.environ) | {faultpoints.VARIABLE: "a.point"}
    served = Child("web", "http.server", ("--bind", "127.0.0.1", "0"), (), tmp_path, tmp_path / "web.log", environ)
    yield served
    served.signal(signal.SIGKILL)
    served.wait(clock.monotonic_us(), clock)


def ended(child: Child, clock: ManualClock) -> bool:
    return child.reap(clock)


def test_a_crashed_child_is_restarted_at_once_then_ever_later(child: Child, clock: ManualClock) -> None:
    pauses = []
    for _ in range(8):
        child.start(clock)
        child.signal(signal.SIGKILL)
        poll(lambda: ended(child, clock))
        assert child.start_at_us is not None
        pauses.append((child.start_at_us - clock.monotonic_us()) / 1e6)
    assert pauses == [0, 0.5, 1, 2, 4, 8, 16, 30]
    assert child.last_exit == -signal.SIGKILL
    child.start(clock)
    clock.advance(61)
    child.signal(signal.SIGKILL)
    poll(lambda: ended(child, clock))
    assert child.start_at_us == clock.monotonic_us()
    assert child.restarts == 9


def test_a_fault_point_is_armed_in_the_first_life_only(child: Child, clock: ManualClock) -> None:
    lives = []
    for _ in range(2):
        child.start(clock)
        assert child.identity is not None
        environ = Path(f"/proc/{child.identity.pid}/environ")
        poll(lambda e=environ: b"PATH=" in e.read_bytes())  # type: ignore[misc]
        lives.append(f"{faultpoints.VARIABLE}=a.point".encode() in environ.read_bytes().split(b"\0"))
        child.signal(signal.SIGKILL)
        poll(lambda: ended(child, clock))
    assert lives == [True, False]


def test_a_child_that_ignores_the_deadline_is_killed(child: Child, clock: ManualClock) -> None:
    child.start(clock)
    child.wait(clock.monotonic_us(), clock)
    assert child.last_exit == -signal.SIGKILL
    assert not child.running


def test_last_words_are_the_last_line_of_the_log(tmp_path: Path, clock: ManualClock) -> None:
    child = Child("gone", "no.such.module", (), (), tmp_path, tmp_path / "gone.log", os.environ)
    assert child.last_words() == ""
    child.start(clock)
    poll(lambda: child.reap(clock))
    assert "No module named" in child.last_words()
    assert child.last_exit == 1


def test_a_process_stops_when_its_lifeline_is_cut() -> None:
    reading, writing = os.pipe()
    victim = os.fork()
    if victim == 0:
        os.close(writing)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(42))
        lifeline.watch(reading, SystemClock())
        while True:
            signal.pause()
    os.close(reading)
    os.close(writing)
    _, status = os.waitpid(victim, 0)
    assert os.waitstatus_to_exitcode(status) == 42
