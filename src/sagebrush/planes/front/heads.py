"""Request and response heads: parsed strictly, rebuilt for the plane behind.

A head is everything up to and including the empty line. httptools (llhttp) judges request heads, so what the front
accepts is what uvicorn behind it accepts: duplicate or contradictory framing headers never get through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import httptools

from sagebrush.planes import SOURCE_IP_HEADER

END: Final = b"\r\n\r\n"


_SOURCE_IP: Final = SOURCE_IP_HEADER.encode()

#: Longer numbers are no lengths of anything, and Python refuses to read very long ones.
_MOST_DIGITS: Final = 19
#: Said once or not at all: what comes second must not be another answer to who asks, or to how long the body is.
_ONCE: Final = frozenset({b"authorization", b"content-length", b"transfer-encoding", b"x-amz-date", b"host"})
_INTERNAL: Final = b"x-sagebrush-"
#: Concern one hop only (RFC 9110 section 7.6.1). Transfer-Encoding stays: chunked bodies pass through as they are.
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"upgrade", b"http2-settings"}
)


#: A header's name and value, without the blanks around it, in a head that llhttp has accepted.
HEADER: Final = re.compile(rb"\n([^:]+):[ \t]*([^\r]*[^\r \t]|)")


class BadHead(Exception):
    """The head is not HTTP/1.x as RFC 9112 has it; the text says how."""


@dataclass(slots=True)
class RequestHead:
    """One parsed request head. ``target`` is exactly as sent.

    ``names`` holds the headers by name in lower case, the last of repeated ones; in ``joined`` those are joined with a
    comma, as the planes read them.
    """

    method: bytes
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    names: dict[bytes, bytes]
    joined: dict[bytes, bytes]
    keep_alive: bool
    content_length: int
    chunked: bool
    #: All of it, as it came.
    raw: bytes

    @property
    def expects_continue(self) -> bool:
        return self.names.get(b"expect", b"").lower() == b"100-continue"


class _Collector:
    """What httptools calls back. Not for headers: once llhttp has found them to be right, they are quickly split."""

    __slots__ = ("complete", "url")

    def __init__(self) -> None:
        self.url = b""
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_request_head(head: bytes) -> RequestHead:
    """Parse one complete request head. Raises :class:`BadHead`."""
    seen = _Collector()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # CONNECT and Upgrade: the head itself is complete.
    except httptools.HttpParserError as error:
        raise BadHead(str(error)) from None
    if not seen.complete:
        raise BadHead("the head ends too early")
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise BadHead(f"HTTP/{version} is not served")
    headers: list[tuple[bytes, bytes]] = HEADER.findall(head)
    names = {name.lower(): value for name, value in headers}
    if len(names) != len(headers):
        _refuse_repeated(headers)
    chunked, length = _framing(names, version)
    return RequestHead(
        method=parser.get_method(),
        target=seen.url,
        version=version,
        headers=headers,
        names=names,
        joined=names if len(names) == len(headers) else _joined(headers),
        keep_alive=_keeps_alive(names, version),
        content_length=length,
        chunked=chunked,
        raw=head,
    )


def _refuse_repeated(headers: list[tuple[bytes, bytes]]) -> None:
    seen = set()
    for name, _ in headers:
        lower = name.lower()
        if lower in seen and lower in _ONCE:
            raise BadHead(f"the header {lower.decode('latin-1')} comes more than once")
        seen.add(lower)


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        joined[lower] = b"%b,%b" % (joined[lower], value) if lower in joined else value
    return joined


def _framing(names: dict[bytes, bytes], version: str) -> tuple[bool, int]:
    """(chunked, content length) of a request whose framing headers llhttp has accepted."""
    coding = names.get(b"transfer-encoding")
    if coding is not None:
        # llhttp also takes "gzip, chunked"; we do not decode, and nobody behind us does.
        if coding.strip().lower() != b"chunked" or version == "1.0":
            raise BadHead("this Transfer-Encoding is not served")
        return True, 0
    length = names.get(b"content-length", b"0").strip()
    return False, _length(length)


def _length(text: bytes) -> int:
    if not text.isdigit() or len(text) > _MOST_DIGITS:
        raise BadHead("Content-Length is not a number")
    return int(text)


def _keeps_alive(names: dict[bytes, bytes], version: str) -> bool:
    options = names.get(b"connection", b"").lower()
    if version == "1.0":
        return b"keep-alive" in options
    return b"close" not in options


def upstream_head(head: RequestHead, source_ip: bytes) -> bytes:
    """The head as the plane receives it: target, Host and signed headers byte for byte, hop-by-hop headers removed."""
    parts = [head.method, b" ", head.target, b" HTTP/1.1\r\n"]
    for name, value in head.headers:
        lower = name.lower()
        if lower in _HOP_BY_HOP or lower.startswith(_INTERNAL):
            continue
        parts += (name, b": ", value, b"\r\n")
    parts += (_SOURCE_IP, b": ", source_ip, END)
    return b"".join(parts)


@dataclass(slots=True)
class ResponseHead:
    """One response head: its bytes and how its body is framed."""

    raw: bytes
    status: int
    content_length: int | None
    chunked: bool
    close: bool

    @property
    def informational(self) -> bool:
        return 100 <= self.status < 200

    def has_body(self, method: bytes) -> bool:
        """Whether a body follows this head when it answers ``method``."""
        return not (method == b"HEAD" or self.informational or self.status in (204, 304))


def parse_response_head(raw: bytes) -> ResponseHead:
    """Parse one complete response head. Raises :class:`BadHead`."""
    lines = raw[:-4].split(b"\r\n")
    status_line = lines[0].split(b" ", 2)
    if len(status_line) < 2 or not status_line[0].startswith(b"HTTP/1."):
        raise BadHead("the answer is not HTTP")
    if len(status_line[1]) != 3 or not status_line[1].isdigit():
        raise BadHead("the answer's status is not a number of three digits")
    length: int | None = None
    chunked = close = False
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        lower = name.lower()
        if lower == b"content-length":
            known, length = length, _length(value.strip())
            if known is not None and known != length:
                raise BadHead("the answer has two lengths")
        elif lower == b"transfer-encoding":
            chunked = value.strip().lower() == b"chunked"
        elif lower == b"connection":
            close = value.strip().lower() == b"close"
    return ResponseHead(raw, int(status_line[1]), None if chunked else length, chunked, close)


def with_connection(raw: bytes, option: bytes, *, drop_chunked: bool = False) -> bytes:
    """The response head ``raw`` with ``Connection: option``, and without Transfer-Encoding when the body is decoded."""
    kept = []
    for line in raw[:-4].split(b"\r\n"):
        name = line.partition(b":")[0].lower()
        if name == b"connection" or (drop_chunked and name == b"transfer-encoding"):
            continue
        kept.append(line)
    kept.append(b"connection: " + option)
    return b"\r\n".join(kept) + END
