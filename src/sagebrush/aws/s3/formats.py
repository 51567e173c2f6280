"""How S3 writes and reads dates, ETags and tags."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import parse_qsl

from sagebrush.substrate.clock import from_datetime
from sagebrush.substrate.errors import CallerError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=4096)
def _http_second(second: int) -> str:
    at = _EPOCH + timedelta(seconds=second)
    return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} GMT"


def http_date(us: int) -> str:
    """A time as HTTP headers write it; whole seconds."""
    return _http_second(us // 1_000_000)


@lru_cache(maxsize=4096)
def _iso_second(second: int) -> str:
    return f"{_EPOCH + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S}.000Z"


def iso_date(us: int) -> str:
    """A time as S3's XML writes it; S3 keeps whole seconds and prints the milliseconds as zeros."""
    return _iso_second(us // 1_000_000)


def parse_http_date(text: str) -> int | None:
    """Microseconds, or None for what is no date: such conditions are ignored, as in HTTP."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # A year of fifty digits overflows.
        return None
    return from_datetime(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def parse_tags(text: str) -> dict[str, str]:
    """The x-amz-tagging header: tags written like a query. Raises CallerError InvalidArgument or InvalidTag."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    except ValueError:
        raise CallerError(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters.",
        ) from None
    return check_tags(pairs, limit=10)


def check_tags(pairs: list[tuple[str, str]], *, limit: int) -> dict[str, str]:
    """Tags as a mapping. Raises CallerError where S3's limits on number, length or uniqueness are broken."""
    tags = dict(pairs)
    if len(pairs) > limit:
        raise CallerError("BadRequest", f"Object tags cannot be greater than {limit}")
    if len(tags) != len(pairs):
        raise CallerError("InvalidTag", "Cannot provide multiple Tags with the same key")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128:
            raise CallerError("InvalidTag", "The TagKey you have provided is invalid", members={"TagKey": key})
        if len(value) > 256:
            raise CallerError("InvalidTag", "The TagValue you have provided is invalid", members={"TagValue": value})
        if key.startswith("aws:"):
            raise CallerError("InvalidTag", "System tags cannot be added/updated by requester", members={"TagKey": key})
    return tags


@lru_cache(maxsize=64)
def canonical_id(account: str) -> str:
    """The canonical user id of an account: stable, opaque, 64 hexadecimal digits as AWS's are."""
    return sha256(f"canonical user {account}".encode()).hexdigest()
