"""Captured requests and answers: the record of one, and the files that records are collected in.

Source of the format: "Capture data", Amazon SageMaker Developer Guide. Files lie below an endpoint's spool as
``capture/<variant>/<yyyy>/<mm>/<dd>/<hh>/<MM-SS-mmm>-<uuid>.jsonl``, with ``.open`` after it while they grow.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sagebrush.planes.front.invocations.snapshot import Capture
from sagebrush.substrate.clock import Clock, to_datetime
from sagebrush.substrate.front_door import CAPTURE_FOLDER

log = logging.getLogger(__name__)

OPEN: Final = ".open"
_SECOND_US: Final = 1_000_000


@dataclass(slots=True)
class Content:
    """A body and the content type it came with."""

    content_type: str
    body: bytes


@dataclass(slots=True)
class Record:
    """One captured invocation. ``dropped`` is called, on whatever thread, when it cannot be written."""

    directory: str
    variant: str
    capture: Capture
    at_us: int
    request: Content
    answer: Content
    inference_id: str | None
    custom_attributes: str | None
    dropped: Callable[[], None]

    @property
    def size(self) -> int:
        """Bytes of the bodies that are captured."""
        return len(self.request.body) * self.capture.input + len(self.answer.body) * self.capture.output

    def line(self) -> bytes:
        """The record as one line of JSON."""
        data: dict[str, Any] = {}
        if self.capture.input:
            data["endpointInput"] = self._content(self.request, "INPUT")
        if self.capture.output:
            data["endpointOutput"] = self._content(self.answer, "OUTPUT")
        moment = to_datetime(self.at_us)
        event: dict[str, Any] = {"eventId": str(uuid.uuid4())}
        if self.inference_id is not None:
            event["inferenceId"] = self.inference_id
        if self.custom_attributes is not None:
            event["customAttributes"] = self.custom_attributes
        event["inferenceTime"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return orjson.dumps({"captureData": data, "eventMetadata": event, "eventVersion": "0"}) + b"\n"

    def _content(self, content: Content, mode: str) -> dict[str, str]:
        encoding, text = encoded(content, self.capture)
        return {"observedContentType": content.content_type, "mode": mode, "data": text, "encoding": encoding}


def encoded(content: Content, capture: Capture) -> tuple[str, str]:
    """``CSV`` or ``JSON`` and the text itself, where the configuration lists the content type; else ``BASE64``."""
    kind = content.content_type.partition(";")[0].strip().lower()
    encoding = "CSV" if kind in capture.csv_content_types else "JSON" if kind in capture.json_content_types else ""
    if encoding:
        with contextlib.suppress(UnicodeDecodeError):
            return encoding, content.body.decode()
    return "BASE64", base64.b64encode(content.body).decode()


@dataclass(slots=True)
class _File:
    """A file that grows. ``due_us`` (monotonic) is when it is closed, ``hour`` the hour it is for."""

    path: Path
    descriptor: int
    due_us: int
    size: int = 0


class CaptureFiles:
    """The files of one process; used on one thread. A file is closed ``seconds`` or ``most_bytes`` after it began."""

    def __init__(self, root: Path, clock: Clock, *, seconds: float = 5.0, most_bytes: int = 4_000_000):
        self._root = root
        self._clock = clock
        self._life_us = int(seconds * _SECOND_US)
        self._most_bytes = most_bytes
        self._files: dict[tuple[str, str, int], _File] = {}

    def write(self, records: Iterable[Record]) -> None:
        """Write records to their files; those that cannot be written are dropped."""
        together: dict[tuple[str, str, int], list[Record]] = {}
        for record in records:
            hour = record.at_us // (3600 * _SECOND_US)
            together.setdefault((record.directory, record.variant, hour), []).append(record)
        for key, batch in together.items():
            try:
                self._append(key, b"".join(record.line() for record in batch), batch[0].at_us)
            except OSError as error:
                # The endpoint may be gone, the disk full: nothing of that is the business of whoever asked the model.
                if not isinstance(error, FileNotFoundError):
                    log.warning("captured data of %s cannot be written: %s", key[0], error)
                for record in batch:
                    record.dropped()

    def due_us(self) -> int | None:
        """When the next file is to be closed (monotonic), if any is open."""
        return min((file.due_us for file in self._files.values()), default=None)

    def close_due(self) -> None:
        """Close what has been open long enough."""
        now = self._clock.monotonic_us()
        self._close(key for key, file in self._files.items() if file.due_us <= now)

    def close(self, *, but: frozenset[str] = frozenset()) -> None:
        """Close every file but those in these directories."""
        self._close(key for key in self._files if key[0] not in but)

    def _append(self, key: tuple[str, str, int], data: bytes, at_us: int) -> None:
        file = self._files.get(key)
        if file is None:
            file = self._files[key] = self._begin(key, at_us)
        try:
            append_whole(file.descriptor, data, file.size)
        except OSError:
            self._close((key,))
            raise
        file.size += len(data)
        if file.size >= self._most_bytes:
            self._close((key,))

    def _begin(self, key: tuple[str, str, int], at_us: int) -> _File:
        directory, variant, _ = key
        moment = to_datetime(at_us)
        folder = self._root / directory
        # One by one from the spool on: what was removed with its endpoint must not come back.
        for name in ("", CAPTURE_FOLDER, variant, *moment.strftime("%Y %m %d %H").split()):
            folder = folder / name
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
        name = f"{moment.strftime('%M-%S')}-{at_us // 1000 % 1000:03d}-{uuid.uuid4()}.jsonl{OPEN}"
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return _File(folder / name, descriptor, self._clock.monotonic_us() + self._life_us)

    def _close(self, keys: Iterable[tuple[str, str, int]]) -> None:
        for key in tuple(keys):
            file = self._files.pop(key)
            os.close(file.descriptor)
            with contextlib.suppress(FileNotFoundError):
                if file.size:
                    file.path.rename(file.path.with_suffix(""))
                else:
                    file.path.unlink()


def append_whole(descriptor: int, data: bytes, size: int) -> None:
    """Write all of ``data`` at ``size``, the end of the file, or nothing. Raises OSError."""
    written = 0
    try:
        while written < len(data):
            written += os.pwrite(descriptor, data[written:] if written else data, size + written)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def recover(root: Path, directory: str) -> None:
    """Close the files that a former process left open in a spool; a line that it did not finish is cut off."""
    for path in (root / directory / CAPTURE_FOLDER).glob(f"*/*/*/*/*/*.jsonl{OPEN}"):
        try:
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if not whole:
                path.unlink()
                continue
            if whole < len(data):
                os.truncate(path, whole)
            path.rename(path.with_suffix(""))
        except OSError as error:
            log.warning("%s cannot be closed: %s", path, error)
