"""HTTP as the protocol engine sees it: plain values, no server in sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it came over the wire.

    ``raw_path`` and ``raw_query`` are exactly as sent (percent-encoded; signatures depend on it). Header names are
    lower-case, repeated headers are joined with ``,``. ``body`` is the whole body; the object plane, which streams,
    leaves it empty for payload-carrying requests and reads the payload beside it.
    """

    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes = b""
    source_ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response; ``body`` is complete (streamed bodies are the object plane's own business)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
