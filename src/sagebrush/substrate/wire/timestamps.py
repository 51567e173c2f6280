"""The three textual and numeric forms in which AWS's protocols carry a moment.

Aware UTC datetimes on our side; on the wire epoch seconds (JSON bodies), ISO 8601 (XML, query strings) or RFC 1123
(headers). AWS answers with millisecond precision, so the rest is cut off, never rounded into the future.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def from_epoch(seconds: float) -> datetime:
    """Epoch seconds as a datetime, to the microsecond. Raises ValueError outside the years 1 to 9999."""
    try:
        if type(seconds) is int:
            return EPOCH + timedelta(seconds=seconds)
        return EPOCH + timedelta(microseconds=round(seconds * 1e6))
    except OverflowError:
        raise ValueError(f"out of range: {seconds}") from None


def from_iso8601(text: str) -> datetime:
    """``2026-01-02T03:04:05[.678]Z`` or with an offset. Raises ValueError; no zone means UTC."""
    return _utc(datetime.fromisoformat(text))


def from_rfc1123(text: str) -> datetime:
    """``Sun, 02 Jan 2000 20:34:56 GMT``, with or without a fraction. Raises ValueError."""
    head, dot, rest = text.partition(".")
    try:
        if not dot:
            return _utc(parsedate_to_datetime(text))
        fraction, _, zone = rest.partition(" ")
        return _utc(parsedate_to_datetime(f"{head} {zone}")) + timedelta(seconds=float(f"0.{fraction}"))
    except OverflowError:  # A year or an offset of very many digits.
        raise ValueError(f"out of range: {text[:40]}") from None


def from_text(text: str) -> datetime:
    """Any of the three forms, as AWS's own lenient readers take them. Raises ValueError."""
    text = text.strip()
    try:
        return from_epoch(float(text))
    except ValueError:
        pass
    reader = from_rfc1123 if text[:3].isalpha() else from_iso8601
    return reader(text)


def to_epoch(moment: datetime) -> float:
    """Epoch seconds with milliseconds; an int when the millisecond is zero."""
    since = moment - EPOCH
    seconds = since.days * 86400 + since.seconds
    milliseconds = since.microseconds // 1000
    if milliseconds:
        return (seconds * 1000 + milliseconds) / 1000
    return seconds


def to_iso8601(moment: datetime) -> str:
    """``2026-01-02T03:04:05Z``, with milliseconds when there are any."""
    moment = moment.astimezone(UTC)
    milliseconds = moment.microsecond // 1000
    fraction = f".{milliseconds:03d}" if milliseconds else ""
    return f"{_to_the_second(moment)}{fraction}Z"


def to_iso8601_milliseconds(moment: datetime) -> str:
    """``2026-01-02T03:04:05.000Z``: S3 always prints the milliseconds."""
    moment = moment.astimezone(UTC)
    return f"{_to_the_second(moment)}.{moment.microsecond // 1000:03d}Z"


def _to_the_second(moment: datetime) -> str:
    # Ten times as fast as strftime, and right for years below 1000.
    return (
        f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
        f"T{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    )


def to_rfc1123(moment: datetime) -> str:
    """``Sun, 02 Jan 2000 20:34:56 GMT``; whole seconds."""
    moment = moment.astimezone(UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year:04d} {moment:%H:%M:%S} GMT"


def form(shape: Any, default: str) -> str:
    """A shape's timestamp format, lower-case; botocore spells ``unixTimestamp`` both ways."""
    return str(shape.serialization.get("timestampFormat", default)).lower()


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"out of range: {moment}") from None


#: timestampFormat of botocore's models (as :func:`form` gives it) -> how a moment is written.
WRITERS: Final[dict[str, Any]] = {"unixtimestamp": to_epoch, "iso8601": to_iso8601, "rfc822": to_rfc1123}
