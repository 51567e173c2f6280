"""output.log: what the job printed, one line per line, each stamped with the millisecond it was completed at.

``<unix ms> <text>\\n``; text is UTF-8, bytes that are not are replaced; only ``\\n`` ends a line (a carriage return
before it is dropped). A line longer than LINE_LIMIT bytes becomes several.
"""

from __future__ import annotations

import os
import time

NAME = "output.log"
LINE_LIMIT = 256 * 1024
#: Of what could not be written, the end is kept for the record: it tells most.
LOST_TAIL = 480


class OutputLog:
    """Writes the log and never fails: what cannot be written is counted, and the job is not held up."""

    def __init__(self, directory: int):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(NAME, flags, 0o644, dir_fd=directory)
        self._partial = b""
        self._torn = False
        self._lost_since_written = 0
        self.first_us: int | None = None
        self.lost_bytes = 0
        self.lost_tail = b""
        self.problem = ""

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the job."""
        now_us = time.time_ns() // 1000
        if self.first_us is None:
            self.first_us = now_us
        *lines, self._partial = (self._partial + data).split(b"\n") if b"\n" in data else [self._partial + data]
        while len(self._partial) > LINE_LIMIT:
            cut = _character_boundary(self._partial, LINE_LIMIT)
            lines.append(self._partial[:cut])
            self._partial = self._partial[cut:]
        if lines:
            self._write(lines, now_us // 1000)

    def close(self) -> None:
        """Write what is left without a line end."""
        if self._partial:
            self._write([self._partial], time.time_ns() // 1_000_000)
            self._partial = b""
        os.close(self._file)

    def _write(self, lines: list[bytes], now_ms: int) -> None:
        stamp = b"%d " % now_ms
        pieces: list[bytes] = []
        for line in lines:
            while len(line) > LINE_LIMIT:
                cut = _character_boundary(line, LINE_LIMIT)
                pieces.append(line[:cut])
                line = line[cut:]
            pieces.append(line[:-1] if line.endswith(b"\r") else line)
        text = b"".join([stamp + piece + b"\n" for piece in pieces])
        try:
            text.decode()
        except UnicodeDecodeError:
            text = b"".join([stamp + piece.decode("utf-8", "replace").encode() + b"\n" for piece in pieces])
        if self._lost_since_written:
            text = b"%s[sagebrush] %d bytes of output were lost: %s\n%s" % (
                stamp,
                self._lost_since_written,
                self.problem.encode(),
                text,
            )
        if self._torn:
            text = b"\n" + text
        if not self._append(text, sum(map(len, lines)) + len(lines)):
            self.lost_tail = (self.lost_tail + b"".join([piece + b"\n" for piece in pieces]))[-LOST_TAIL:]

    def _append(self, text: bytes, size: int) -> bool:
        written = 0
        try:
            while written < len(text):
                written += os.write(self._file, text[written:] if written else text)
        except OSError as error:
            # A full disk must not stop the job; the state says what is missing and why.
            self.problem = error.strerror or str(error)
            self.lost_bytes += size
            self._lost_since_written += size
            self._torn = (written > 0 and text[written - 1 : written] != b"\n") or (self._torn and written == 0)
            return False
        self._torn = False
        self._lost_since_written = 0
        return True


def _character_boundary(data: bytes, cut: int) -> int:
    """The last position <= cut that does not divide a UTF-8 character (a character has at most three followers)."""
    for position in range(cut, cut - 4, -1):
        if data[position] & 0xC0 != 0x80:
            return position
    return cut
