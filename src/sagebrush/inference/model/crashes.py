"""When a replica that ended is started again, and when no more."""

from __future__ import annotations

#: A replica that serves this long after it was ready had started well: what ends it then is another story.
SETTLED_US = 60_000_000
#: Replicas of a fleet that is being brought up may fail so often in a row, those of one that serves so often.
TRIES = 3
CRASHES = 5
_FIRST_PAUSE_US = 500_000
_LONGEST_PAUSE_US = 30_000_000


def failures_after(failures: int, ready_us: int | None, ended_us: int) -> int:
    """Failures in a row, after another end; ``failures`` were there before the replica that ended now."""
    if ready_us is not None and ended_us - ready_us >= SETTLED_US:
        return 0
    return failures + 1


def pause_us(failures: int) -> int:
    """How long the next start waits: half a second, doubling to 30 s."""
    return min(_LONGEST_PAUSE_US, _FIRST_PAUSE_US << min(10, max(0, failures - 1)))
