"""state.json: the durable record of one attempt, and how a process is identified across crashes and reboots."""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH123

from __future__ import annotations

import os

NAME = "state.json"
#: Blocks for the last record are taken at the start, so that a full disk cannot hide how the job ended.
SPARE = "state.spare"
SPARE_BYTES = 4096
_TEXT_LIMIT = 500


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (field 22 of stat); None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            raw = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name, in parentheses, may itself contain spaces and parentheses.
    fields = raw[raw.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _json(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)[:_TEXT_LIMIT].encode("utf-8", "replace").decode()
    escaped = "".join(c if c >= " " and c not in '"\\' else f"\\u{ord(c):04x}" for c in text)
    return f'"{escaped}"'


def encode(state: dict[str, object]) -> bytes:
    body = ",\n".join(f'  "{key}": {_json(value)}' for key, value in state.items())
    return f"{{\n{body}\n}}\n".encode()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _publish(temporary: str, directory: int) -> None:
    os.rename(temporary, NAME, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def write(directory: int, state: dict[str, object]) -> None:
    """Replace the record durably. ``directory`` is an open descriptor of the attempt directory."""
    temporary = f"{NAME}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        _write_all(descriptor, encode(state))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _publish(temporary, directory)


def reserve(directory: int) -> None:
    """Take the blocks that :func:`write_last` will need. Durable together with the next record's directory fsync."""
    descriptor = os.open(SPARE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        _write_all(descriptor, b" " * SPARE_BYTES)
    finally:
        os.close(descriptor)


def write_last(directory: int, state: dict[str, object]) -> None:
    """Replace the record durably in the reserved blocks, padded with blanks: works on a full disk."""
    descriptor = os.open(SPARE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        _write_all(descriptor, encode(state).ljust(SPARE_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _publish(SPARE, directory)
