"""The routing snapshot: which endpoints there are and which sockets serve them, as the control plane wrote it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Replica:
    """One model server: a socket for each of its workers; ``lanes`` requests at once on each."""

    id: str
    sockets: tuple[str, ...]
    lanes: int


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant."""

    name: str
    weight: float
    timeout_seconds: float
    replicas: tuple[Replica, ...]


@dataclass(frozen=True, slots=True)
class Capture:
    """Which share of the traffic is captured, and how its content is written down."""

    percentage: float
    input: bool
    output: bool
    csv_content_types: frozenset[str]
    json_content_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint; ``spool`` is the directory for what we leave to the control plane."""

    name: str
    id: str
    arn: str
    status: str
    spool: str
    capture: Capture | None
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All endpoints at one moment."""

    version: int
    endpoints: Mapping[str, Endpoint]


NOTHING = Snapshot(0, {})


def parse(data: bytes) -> Snapshot:
    """Read a snapshot. Raises ValueError when anything in it is not as agreed."""
    try:
        document = orjson.loads(data)
        endpoints = {name: _endpoint(name, entry) for name, entry in document["endpoints"].items()}
        return Snapshot(int(document["version"]), endpoints)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _endpoint(name: str, entry: dict[str, Any]) -> Endpoint:
    variants = tuple(_variant(variant) for variant in entry["variants"])
    capture = entry.get("capture")
    return Endpoint(
        name,
        _text(entry["id"]),
        _text(entry["arn"]),
        _text(entry["status"]),
        _text(entry["spool"]),
        _capture(capture) if capture is not None else None,
        variants,
    )


def _variant(entry: dict[str, Any]) -> Variant:
    replicas = tuple(
        Replica(_text(replica["id"]), tuple(map(_text, replica["sockets"])), max(1, int(replica["lanes"])))
        for replica in entry["replicas"]
    )
    weight, timeout = float(entry["weight"]), float(entry["timeout_seconds"])
    if not 0.0 <= weight < float("inf") or not timeout > 0.0:
        raise ValueError(f"the weight {weight} or the time-out {timeout} cannot be")
    return Variant(_text(entry["name"]), weight, timeout, replicas)


def _capture(entry: dict[str, Any]) -> Capture:
    modes = entry["modes"]
    return Capture(
        float(entry["percentage"]),
        "Input" in modes,
        "Output" in modes,
        frozenset(kind.lower() for kind in entry.get("csv_content_types") or ()),
        frozenset(kind.lower() for kind in entry.get("json_content_types") or ()),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


class SnapshotFile:
    """The file that holds the snapshot; replaced whole by its writer, looked at often by us."""

    def __init__(self, path: Path):
        self._path = str(path)
        self._file = path
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> Snapshot | None:
        """The snapshot when the file is another than at the last look; None when it is not, or cannot be read."""
        try:
            stat = self._file.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen == self._seen:
                return None
            data = self._file.read_bytes()
        except FileNotFoundError:
            self._missing()
            return None
        except OSError as error:
            log.error("%s cannot be read, the routes stay as they are: %s", self._path, error)
            return None
        self._seen = seen
        try:
            return parse(data)
        except ValueError as error:
            log.error("%s is not a routing snapshot, the routes stay as they are: %s", self._path, error)
            return None

    def _missing(self) -> None:
        if self._seen is not None:
            log.error("%s is gone, the routes stay as they are", self._path)
            self._seen = None
