"""The launch file: what a shim is to run. Written by the launcher, read by the shim.

Records ``key value`` ended by NUL bytes, in file order, as in ``/proc/PID/environ``: no parser to import, nothing to
escape, readable with ``tr '\\0' '\\n'``. Values are file-system encoded text. A key may occur many times.
"""

from __future__ import annotations

import os

NAME = "launch"


class LaunchFile:
    """The records of one launch."""

    def __init__(self, records: list[tuple[str, str]] | None = None):
        self.records: list[tuple[str, str]] = records if records is not None else []

    def add(self, key: str, *values: str | int) -> None:
        """Append one record for each value. A NUL byte cannot be passed on to a process: ValueError."""
        for value in values:
            text = str(value)
            if "\0" in text:
                raise ValueError(f"{key}: a NUL byte cannot be part of a command, a variable or a path")
            self.records.append((key, text))

    def all(self, key: str) -> list[str]:
        return [v for k, v in self.records if k == key]

    def text(self, key: str, default: str = "") -> str:
        return next((v for k, v in self.records if k == key), default)

    def number(self, key: str, default: int = 0) -> int:
        return int(self.text(key, str(default)))

    def pairs(self, key: str) -> list[tuple[str, str]]:
        """Values of the form ``name=value``."""
        return [(name, value) for name, _, value in (v.partition("=") for v in self.all(key))]

    def encode(self) -> bytes:
        return b"".join(os.fsencode(f"{key} {value}\0") for key, value in self.records)

    @classmethod
    def decode(cls, raw: bytes) -> LaunchFile:
        entries = os.fsdecode(raw).split("\0")[:-1]
        return cls([(key, value) for key, _, value in (e.partition(" ") for e in entries)])
