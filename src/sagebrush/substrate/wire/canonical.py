"""Canonical requests of Signature Version 4, rebuilt from what came over the wire.

S3 signs the path as sent, once encoded, and never normalises it: ``//`` and ``..`` are parts of a key. Every other
service normalises the path and encodes it a second time. Source: "Create a signed AWS API request", IAM User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

#: Not what Python calls blank: other such characters belong to the value that was signed.
_BLANK: Final = " \t"
_BLANKS: Final = re.compile(r"[ \t]{2,}|\t")
_UNRESERVED: Final = "-_.~"


def path(raw_path: str, *, is_s3: bool) -> str:
    """The canonical path."""
    if is_s3:
        return quote_from_bytes(unquote_to_bytes(raw_path), safe="/" + _UNRESERVED)
    if raw_path == "/" or not raw_path:
        return "/"
    return _encoded_again(raw_path) if len(raw_path) < 256 else _encoded_again.__wrapped__(raw_path)


@lru_cache(maxsize=1024)
def _encoded_again(raw_path: str) -> str:
    """Remembered: an endpoint is asked under the same path all day."""
    return quote(_normalised(raw_path), safe="/" + _UNRESERVED)


def _normalised(raw_path: str) -> str:
    """Without empty, ``.`` and ``..`` segments; a slash at the end stays."""
    segments: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment and segment != ".":
            segments.append(segment)
    tail = "/" if raw_path.endswith("/") and segments else ""
    return "/" + "/".join(segments) + tail


def query(raw_query: str, *, without: str = "") -> str:
    """The canonical query string: encoded anew, sorted, without the field ``without``."""
    if not raw_query:
        return ""
    pairs = []
    for field in raw_query.split("&"):
        name, _, value = field.partition("=")
        if field and name != without:
            pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return quote_from_bytes(unquote_to_bytes(text.replace("+", " ")), safe=_UNRESERVED)


def headers(values: Mapping[str, str], signed: Iterable[str]) -> str:
    """The canonical header lines of the signed headers; runs of spaces become one. Raises KeyError for one missing."""
    return "".join(f"{name}:{_BLANKS.sub(' ', values[name].strip(_BLANK))}\n" for name in signed)


def request(method: str, canonical_path: str, canonical_query: str, header_lines: str, signed: str, digest: str) -> str:
    """The canonical request as text."""
    return f"{method}\n{canonical_path}\n{canonical_query}\n{header_lines}\n{signed}\n{digest}"
