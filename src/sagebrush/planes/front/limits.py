"""How long and how much the front door puts up with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    head_bytes: int = 64 * 1024
    """Request line and headers together; more is answered 431. Presigned URLs with session tokens take 3 KiB."""
    head_seconds: float = 30.0
    """From a head's first byte to its last."""
    idle_seconds: float = 120.0
    """A kept-alive connection without a request."""
    body_seconds: float = 60.0
    """Silence in the middle of a request's body while we are reading."""
    slowest_body: int = 50 * 1024
    """Bytes a second: an invocation's body, which is held in memory, must arrive in the time that this takes, and
    ``body_seconds`` beside it."""
    stall_seconds: float = 60.0
    """A client that takes nothing of its response."""
    response_seconds: float = 900.0
    """From the request's end to the first byte of a plane's answer."""
    hold_seconds: float = 10.0
    """A request waits this long for a plane that is restarting."""
    linger_seconds: float = 30.0
    """After an early answer: how long the rest of a body is read and thrown away; also the time for a closing flush."""
    replay_bytes: int = 64 * 1024
    """A request up to this size is kept until the plane answers, to be sent again when it provably was not read."""
