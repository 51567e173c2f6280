"""One clock for the platform, so that tests and users can replace time (DESIGN 3.8)."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Wall time for what is recorded, monotonic time for what is waited for. Both in microseconds."""

    def now_us(self) -> int:
        """Wall time: microseconds since 1970-01-01 UTC; the form in which time is stored."""

    def monotonic_us(self) -> int:
        """Microseconds from an arbitrary start, never going back; comparable within one boot."""

    def sleep_until(self, monotonic_us: int, wake: threading.Event | None = None) -> bool:
        """Wait until ``monotonic_us``; return True early when ``wake`` is set."""


class SystemClock:
    """The machine's own time."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000

    def sleep_until(self, monotonic_us: int, wake: threading.Event | None = None) -> bool:
        seconds = max(0.0, (monotonic_us - self.monotonic_us()) / 1e6)
        if wake is not None:
            return wake.wait(seconds)
        time.sleep(seconds)
        return False


class ManualClock:
    """Time that moves only when told to; for tests and for users who rehearse time."""

    def __init__(self, start_us: int = 1_700_000_000_000_000):
        self._now = start_us
        self._start = start_us
        self._moved = threading.Condition()

    def now_us(self) -> int:
        return self._now

    def monotonic_us(self) -> int:
        return self._now - self._start

    def advance(self, seconds: float) -> None:
        """Move both times forward and let sleepers look again."""
        with self._moved:
            self._now += int(seconds * 1e6)
            self._moved.notify_all()

    def sleep_until(self, monotonic_us: int, wake: threading.Event | None = None) -> bool:
        with self._moved:
            while self.monotonic_us() < monotonic_us:
                if wake is not None and wake.is_set():
                    return True
                # A set event does not notify the condition: look at it now and then.
                self._moved.wait(0.01)
        return wake is not None and wake.is_set()


def to_datetime(us: int) -> datetime:
    """Stored microseconds as an aware UTC datetime (exact: no float in between)."""
    return _EPOCH + timedelta(microseconds=us)


def from_datetime(moment: datetime) -> int:
    """An aware datetime as stored microseconds. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place on the time line")
    return (moment - _EPOCH) // timedelta(microseconds=1)
