"""Reading a job's ``output.log`` from an offset: whole lines only, as CloudWatch shows them.

The shim writes ``<unix ms> <text>\\n``. Control characters appear escaped in SageMaker's logs, a TAB as ``#011``;
metric expressions of the built-in algorithms rely on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

#: Bytes taken at once: bounds memory and the size of a transaction. The shim splits lines at 256 KiB.
MOST_BYTES = 1 << 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One printed line: when it was complete, and its text as logs show it (never empty)."""

    timestamp_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Read:
    """Lines from one offset to another; ``more`` says that the file went on when this was read."""

    lines: tuple[LogLine, ...]
    start: int
    end: int
    more: bool


def read(path: Path, offset: int, *, ended: bool = False, most_bytes: int = MOST_BYTES) -> Read:
    """The whole lines after ``offset``. With ``ended`` a last line that its dead writer left unfinished counts too."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(most_bytes)
            more = bool(file.read(1))
    except FileNotFoundError:
        return Read((), offset, offset, False)
    whole = data if ended and not more else data[: data.rfind(b"\n") + 1]
    lines: list[LogLine] = []
    for raw in whole.split(b"\n"):
        line = _parse(raw, lines[-1].timestamp_ms if lines else 0)
        if line is not None:
            lines.append(line)
    return Read(tuple(lines), offset, offset + len(whole), more)


def tail(path: Path, most_bytes: int = 64 << 10) -> list[str]:
    """The texts of the last lines, unescaped, oldest first."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            data = file.read()
    except FileNotFoundError:
        return []
    lines = data.decode("utf-8", "replace").split("\n")
    # The first is cut anywhere unless the whole file was read; the last is what follows the last line end.
    whole = lines if size <= most_bytes else lines[1:]
    return [text for _, _, text in (line.partition(" ") for line in whole if line)]


def escaped(text: str) -> str:
    """Text as SageMaker's logs show it: each control character as ``#`` and three octal digits."""
    return _CONTROL.sub(lambda found: f"#{ord(found[0]):03o}", text)


def _parse(raw: bytes, previous_ms: int) -> LogLine | None:
    if not raw:
        return None
    stamp, _, text = raw.decode("utf-8", "replace").partition(" ")
    if not stamp.isdigit():
        # Only a write torn by a full disk or a killed shim leaves such a line: show it, at the time of its neighbour.
        return LogLine(previous_ms, escaped(raw.decode("utf-8", "replace"))) if previous_ms else None
    return LogLine(int(stamp), escaped(text) or " ")  # CloudWatch has no empty events.
