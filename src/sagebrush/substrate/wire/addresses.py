"""URIs as sent: percent-encoded, taken apart without losing what signatures depend on."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from sagebrush.substrate.errors import CallerError

#: Host names (without port) under which S3's virtual-host style works: ``<bucket>.localhost``.
S3_HOSTS: Final = ("s3.localhost", "localhost")

_AMAZON_HOST: Final = re.compile(r"(?P<bucket>.+)\.s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")


def decode(text: str) -> str:
    """Percent-decoded text. Raises CallerError ``InvalidURI`` when it is not UTF-8."""
    if "%" not in text and text.isascii():
        return text
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise CallerError("InvalidURI", "Couldn't parse the specified URI.") from None


def parse_query(raw: str) -> list[tuple[str, str]]:
    """The fields of a query string or form, in order, blank values kept, ``+`` read as a space."""
    pairs = []
    for field in raw.split("&"):
        if field:
            name, _, value = field.replace("+", " ").partition("=")
            pairs.append((decode(name), decode(value)))
    return pairs


def grouped(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Fields by name; a name may stand several times."""
    result: dict[str, list[str]] = {}
    for name, value in pairs:
        result.setdefault(name, []).append(value)
    return result


def virtual_bucket(host: str, s3_hosts: tuple[str, ...] = S3_HOSTS) -> str | None:
    """The bucket that leads a Host header in S3's virtual-host style, or None for path style."""
    name = host.lower()
    name = name if name.endswith("]") else name.rpartition(":")[0] or name
    if name in s3_hosts:
        return None
    for suffix in s3_hosts:
        if name.endswith("." + suffix):
            return name[: -len(suffix) - 1]
    found = _AMAZON_HOST.fullmatch(name)
    return found["bucket"] if found else None
