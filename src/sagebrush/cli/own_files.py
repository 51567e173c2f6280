"""Changes to files that are the user's own, written down before they are made, so that each can be taken back.

The record is the user's, too, and outlives the platform that made it: what each file was, and what it became. Taking
back restores a file byte for byte if nobody has changed it since; else only the lines between our marks go.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_MARK = "# >>> sagebrush: `sagebrush configure --undo` removes these lines >>>"
LAST_MARK = "# <<< sagebrush <<<"


@dataclass(frozen=True, slots=True)
class Change:
    """What a file is to become. ``what`` tells the user why."""

    path: Path
    after: bytes
    what: str


def marked(lines: Sequence[str]) -> bytes:
    """Lines between our marks."""
    return "\n".join([FIRST_MARK, *lines, LAST_MARK, ""]).encode()


def appended(path: Path, lines: Sequence[str]) -> bytes:
    """The file as it is without us, and the marked lines after it."""
    before = without_marked(_read(path) or b"")
    gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
    return before + gap + marked(lines)


def make(changes: Sequence[Change], record: Path, by: str) -> None:
    """Write the record, then the files, each whole or not at all; ``by`` whom, for the record. Raises OSError.

    What an earlier record still tells of stays in it: files that were left as they are.
    """
    changed = {str(change.path) for change in changes}
    entries = [entry for entry in _entries(record) if entry["path"] not in changed]
    for change in changes:
        before = _read(change.path)
        entries.append(
            {
                "path": str(change.path),
                "before": None if before is None else base64.b64encode(before).decode(),
                "after": _digest(change.after),
                "folders": [str(folder) for folder in change.path.parents if not folder.exists()],
            }
        )
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(record, by, entries)
    for change in changes:
        change.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(change.path.resolve(), change.after)


def made_by(record: Path) -> str:
    """Whom the record names; '' without one."""
    try:
        return str(json.loads(record.read_bytes())["by"])
    except FileNotFoundError:
        return ""


def standing(record: Path) -> dict[str, bool]:
    """The files that the record tells of, and whether each is as it was written. Empty without a record."""
    contents = ((entry, _read(Path(entry["path"]))) for entry in _entries(record))
    return {entry["path"]: now is not None and _digest(now) == entry["after"] for entry, now in contents}


def take_back(record: Path) -> list[str]:
    """Undo what the record tells; a line for each file. Nothing happens without a record. Raises OSError.

    A file that had to be left stays in the record.
    """
    told, left = [], []
    for entry in _entries(record):
        line, done = _restore(entry)
        told.append(line)
        left += [] if done else [entry]
    if left:
        _write(record, made_by(record), left)
    else:
        record.unlink(missing_ok=True)
    return told


def _entries(record: Path) -> list[dict[str, Any]]:
    try:
        entries: list[dict[str, Any]] = json.loads(record.read_bytes())["files"]
    except FileNotFoundError:
        return []
    return entries


def _write(record: Path, by: str, entries: Sequence[dict[str, Any]]) -> None:
    _replace(record, json.dumps({"version": 1, "by": by, "files": entries}, indent=1).encode())


def _restore(entry: dict[str, Any]) -> tuple[str, bool]:
    """What was done, and whether that is all there is to do."""
    path = Path(entry["path"])
    before = None if entry["before"] is None else base64.b64decode(entry["before"])
    now = _read(path)
    if now == before:
        return f"{path}: nothing to undo", True
    if now is None:
        return f"{path}: is gone, and stays so", True
    if _digest(now) == entry["after"]:
        if before is None:
            path.unlink()
            _remove_folders(entry["folders"])
            return f"{path}: removed", True
        _replace(path.resolve(), before)
        return f"{path}: as it was", True
    without = without_marked(now)
    if without == now:
        return (
            f"{path}: changed since by somebody else, so it is left as it is; remove what names localhost in it",
            False,
        )
    _replace(path.resolve(), without)
    return f"{path}: our lines removed", True


def without_marked(content: bytes) -> bytes:
    """Without the lines between our marks, if it has any."""
    before, first, rest = content.partition(FIRST_MARK.encode())
    _, last, after = rest.partition(LAST_MARK.encode())
    if not first or not last:
        return content
    before = before[:-1] if before.endswith(b"\n\n") else before
    return before + after.removeprefix(b"\n")


def _remove_folders(folders: Sequence[str]) -> None:
    """Those that were made for the file, the innermost first, as far as they are empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            Path(folder).rmdir()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Keeps the mode of a file that is there; a new one is for its owner alone."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(mode)
    beside.replace(path)
