"""Answers that handlers make part by part: a generator's parts are sent as they come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sagebrush.runtime.serving.http import Connection
from sagebrush.runtime.serving.stamp import Stamp


class Nonsense(Exception):
    """A handler returned what cannot be sent."""


class Parts:
    """What an iterator yields (bytes or text), as bytes. ``source`` is the handler it is from."""

    def __init__(self, given: Iterator[Any], source: str):
        self._given = given
        self._source = source
        self._count = 0
        self._first = b""

    def begin(self) -> bool:
        """Make the first part that is not empty, so that what fails before it fails the request; False without one."""
        self._first = self._next()
        return bool(self._first)

    def __iter__(self) -> Iterator[bytes]:
        part = self._first
        while part:
            yield part
            part = self._next()

    def close(self) -> None:
        """Nobody wants the rest: let a generator tidy up."""
        close = getattr(self._given, "close", None)
        if callable(close):
            close()

    def _next(self) -> bytes:
        """The next part that is not empty; b"" when there is none. Raises what the iterator raises, and Nonsense."""
        for part in self._given:
            self._count += 1
            data = part.encode() if isinstance(part, str) else part
            if not isinstance(data, bytes | bytearray | memoryview):
                raise Nonsense(
                    f"{self._source} yielded {type(part).__name__} as part {self._count} of its answer; "
                    "only bytes and text can be sent as they come."
                )
            if len(data):
                return bytes(data)
        return b""


def send(connection: Connection, parts: Parts, stamp: Stamp) -> None:
    """Write all parts; the model's time begins anew with each. Raises Closed, what the model raises, and Nonsense."""
    try:
        for part in parts:
            stamp.rest()
            connection.part(part)
            stamp.begin()
    finally:
        with contextlib.suppress(RuntimeError):  # A generator that goes on after it was told to end.
            parts.close()
