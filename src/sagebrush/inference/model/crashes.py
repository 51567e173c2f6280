"""When a replica that ended is started again, and when no more (ADR 0009).

Two rows are counted. *Ends*: replicas that ended before they had served a minute, whatever ended them; each lets the
next one wait longer. *Failures*: starts that came to nothing by themselves. Only those end an endpoint: what requests
did to a replica is no reason to take the endpoint away from everybody else.
"""

from __future__ import annotations

#: A replica that serves this long after it was ready had started well: what ends it then is another story.
SETTLED_US = 60_000_000
#: One that was ready and asked nothing, and ends so soon nevertheless, would not have served anybody.
MOMENT_US = 5_000_000
#: So far back from its end requests are looked for: the front door writes its counts a second or two late, and what it
#: had not written at one end it has at the next.
ASKED_US = 60_000_000
#: Replicas of a fleet that is being brought up may end so often in a row, starts of one that serves fail so often.
TRIES = 3
CRASHES = 5
_FIRST_PAUSE_US = 500_000
_LONGEST_PAUSE_US = 30_000_000


def ends_after(ends: int, ready_us: int | None, ended_us: int) -> int:
    """Ends in a row, after another one; ``ends`` were there before the replica that ended now."""
    if ready_us is not None and ended_us - ready_us >= SETTLED_US:
        return 0
    return ends + 1


def failures_after(failures: int, ready_us: int | None, ended_us: int, *, asked: bool) -> int:
    """Starts in a row that came to nothing, after another end. ``asked``: whether there were requests before it."""
    if ready_us is not None and (asked or ended_us - ready_us >= MOMENT_US):
        return 0
    return failures + 1


def pause_us(ends: int) -> int:
    """How long the next start waits: half a second, doubling to 30 s."""
    return min(_LONGEST_PAUSE_US, _FIRST_PAUSE_US << min(10, max(0, ends - 1)))
