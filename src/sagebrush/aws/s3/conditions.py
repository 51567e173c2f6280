"""Conditional requests and ranges of reads ("GetObject", Amazon S3 API Reference; RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sagebrush.aws.s3.formats import parse_http_date
from sagebrush.aws.s3.numbers import whole_number
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import ObjectInfo
from sagebrush.substrate.objects.errors import invalid_argument, precondition_failed

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


class NotModified(Exception):
    """The reader has the object already; answered with 304."""


def etag_matches(header: str, etag: str) -> bool:
    """Whether an ETag is in a header's list; ``*`` matches any."""
    return any(candidate.strip().removeprefix("W/").strip('"') in (etag, "*") for candidate in header.split(","))


def check_read(headers: Mapping[str, str], info: ObjectInfo) -> None:
    """Raise CallerError PreconditionFailed, or NotModified, as the headers' conditions say."""
    second = info.modified_us // 1_000_000 * 1_000_000
    if if_match := headers.get("if-match"):
        if not etag_matches(if_match, info.etag):
            raise precondition_failed("If-Match")
    elif unmodified := headers.get("if-unmodified-since"):
        moment = parse_http_date(unmodified)
        if moment is not None and second > moment:
            raise precondition_failed("If-Unmodified-Since")
    if if_none_match := headers.get("if-none-match"):
        if etag_matches(if_none_match, info.etag):
            raise NotModified
    elif modified := headers.get("if-modified-since"):
        moment = parse_http_date(modified)
        if moment is not None and second <= moment:
            raise NotModified


def check_copy_source(headers: Mapping[str, str], info: ObjectInfo) -> None:
    """Raise CallerError PreconditionFailed as the x-amz-copy-source-if-* headers say."""
    prefix = "x-amz-copy-source-"
    conditions = {
        name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix + "if-")
    }
    try:
        check_read(conditions, info)
    except NotModified:
        raise precondition_failed("x-amz-copy-source-If-None-Match") from None


def select_range(header: str, size: int) -> tuple[int, int] | None:
    """(offset, length) of the one range asked for; None for the whole object.

    What is no range, or several, is ignored as S3 does. Raises CallerError InvalidRange (416) outside of the object.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    start, last = whole_number(match[1]), whole_number(match[2])
    if start is None:
        length = min(last or 0, size)
        if length == 0:
            raise _invalid_range(header, size)
        return size - length, length
    if last is not None and last < start:
        return None
    if start >= size:
        raise _invalid_range(header, size)
    end = size - 1 if last is None else min(last, size - 1)
    return start, end - start + 1


def select_part(number: int, info: ObjectInfo) -> tuple[int, int]:
    """(offset, length) of a part of a multipart object; any other object is its own part 1."""
    sizes = info.parts or (info.size,)
    if not 1 <= number <= len(sizes):
        raise CallerError(
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            status=416,
            members={"PartNumberRequested": str(number), "ActualPartCount": str(len(sizes))},
        )
    return sum(sizes[: number - 1]), sizes[number - 1]


def copy_range(header: str, size: int) -> tuple[int, int]:
    """(offset, length) of x-amz-copy-source-range, which must be exact. Raises CallerError InvalidArgument."""
    match = _RANGE.fullmatch(header)
    start, end = (None, None) if match is None else (whole_number(match[1]), whole_number(match[2]))
    if start is None or end is None or start > end:
        raise invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            header,
        )
    if end >= size:
        raise invalid_argument(
            f"Range specified is not valid for source object of size: {size}", "x-amz-copy-source-range", header
        )
    return start, end - start + 1


def _invalid_range(header: str, size: int) -> CallerError:
    return CallerError(
        "InvalidRange",
        "The requested range is not satisfiable",
        status=416,
        members={"RangeRequested": header, "ActualObjectSize": str(size)},
    )
