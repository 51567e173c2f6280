"""Positions in log streams, and the pages that reading yields.

A position is (timestamp ms, stream id, sequence within the stream): events are ordered by time, then by arrival. It
marks the place *before* the event with that key, so a page from ``a`` up to ``b`` is ``a <= key < b``: nothing is shown
twice and nothing skipped, however many events share a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

from sagebrush.substrate.errors import CallerError

Position = tuple[int, int, int]

#: Beyond every time that a database's 64-bit column holds comfortably.
END_MS = 1 << 62
#: Before and beyond every event.
BEGINNING: Position = (-1, 0, 0)
END: Position = (END_MS, 0, 0)

_TIME, _STREAM, _SEQUENCE = 20, 18, 18


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event of a log stream; times in milliseconds since the epoch."""

    stream: str
    timestamp_ms: int
    ingestion_ms: int
    message: str
    position: Position

    @property
    def event_id(self) -> str:
        """Unique in the account, and ordered as the events are."""
        return digits(self.position)


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of one stream, oldest event first; both tokens are always there."""

    events: list[LogEvent]
    forward_token: str
    backward_token: str


@dataclass(frozen=True, slots=True)
class FilteredPage:
    """A page of the matching events of several streams; ``next_position`` is None when there are no more."""

    events: list[LogEvent]
    next_position: Position | None


def digits(position: Position) -> str:
    """A position as 56 digits, the form of CloudWatch's own tokens and event ids."""
    time, stream, sequence = position
    return f"{max(time, 0):0{_TIME}d}{stream:0{_STREAM}d}{sequence:0{_SEQUENCE}d}"


def from_digits(text: str) -> Position:
    """The position of :func:`digits`. Raises InvalidParameterException."""
    if len(text) != _TIME + _STREAM + _SEQUENCE or not (text.isascii() and text.isdigit()):
        raise CallerError("InvalidParameterException", "The specified nextToken is invalid.")
    return min(int(text[:_TIME]), END_MS), int(text[_TIME : _TIME + _STREAM]), int(text[_TIME + _STREAM :])


def after(position: Position) -> Position:
    """The place right behind the event at ``position``."""
    return position[0], position[1], position[2] + 1
