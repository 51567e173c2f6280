"""Conditional requests and ranges."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagebrush.aws.s3.conditions import select_range
from sagebrush.substrate.errors import CallerError
from tests.aws.s3.errors import refused

BODY = os.urandom(100_000)


@pytest.fixture
def head(s3: Any, bucket: str) -> Any:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    return s3.head_object(Bucket=bucket, Key="key")


def test_reads_follow_etag_conditions(s3: Any, bucket: str, head: Any) -> None:
    get = s3.get_object
    etag = head["ETag"]
    assert get(Bucket=bucket, Key="key", IfMatch=etag)["ContentLength"] == len(BODY)
    assert get(Bucket=bucket, Key="key", IfNoneMatch='"other"')["ContentLength"] == len(BODY)
    assert refused(get, Bucket=bucket, Key="key", IfMatch='"other"') == (412, "PreconditionFailed")
    assert refused(get, Bucket=bucket, Key="key", IfNoneMatch=etag) == (304, "304")
    assert refused(s3.head_object, Bucket=bucket, Key="key", IfNoneMatch="*") == (304, "304")
    assert refused(s3.head_object, Bucket=bucket, Key="key", IfMatch='"other"') == (412, "412")


def test_reads_follow_time_conditions(s3: Any, bucket: str, head: Any) -> None:
    get = s3.get_object
    then = head["LastModified"]
    before, etag = then - timedelta(seconds=1), head["ETag"]
    assert refused(get, Bucket=bucket, Key="key", IfModifiedSince=then) == (304, "304")
    assert refused(get, Bucket=bucket, Key="key", IfUnmodifiedSince=before) == (412, "PreconditionFailed")
    get(Bucket=bucket, Key="key", IfModifiedSince=before)
    get(Bucket=bucket, Key="key", IfUnmodifiedSince=then)
    # The ETag decides where both are given.
    get(Bucket=bucket, Key="key", IfMatch=etag, IfUnmodifiedSince=before)
    get(Bucket=bucket, Key="key", IfNoneMatch='"other"', IfModifiedSince=then)


def test_writes_follow_conditions(s3: Any, bucket: str, head: Any) -> None:
    put = s3.put_object
    assert refused(put, Bucket=bucket, Key="key", Body=b"", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(put, Bucket=bucket, Key="key", Body=b"", IfMatch='"other"') == (412, "PreconditionFailed")
    assert refused(put, Bucket=bucket, Key="new", Body=b"", IfMatch='"other"') == (404, "NoSuchKey")
    put(Bucket=bucket, Key="new", Body=b"1", IfNoneMatch="*")
    put(Bucket=bucket, Key="key", Body=b"2", IfMatch=head["ETag"])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"2"


def test_copies_follow_conditions_on_their_source(s3: Any, bucket: str, head: Any) -> None:
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "key"}}
    assert refused(s3.copy_object, **copy, CopySourceIfMatch='"other"') == (412, "PreconditionFailed")
    assert refused(s3.copy_object, **copy, CopySourceIfNoneMatch=head["ETag"]) == (412, "PreconditionFailed")
    past = head["LastModified"] - timedelta(seconds=1)
    assert refused(s3.copy_object, **copy, CopySourceIfUnmodifiedSince=past) == (412, "PreconditionFailed")
    s3.copy_object(**copy, CopySourceIfMatch=head["ETag"])


RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=10-19", 10, 20),
    ("bytes=99990-", 99_990, 100_000),
    ("bytes=-10", 99_990, 100_000),
    ("bytes=-999999", 0, 100_000),
    ("bytes=5-999999", 5, 100_000),
]


@pytest.mark.parametrize(("header", "start", "end"), RANGES)
def test_a_range_is_what_is_sent(s3: Any, bucket: str, head: Any, header: str, start: int, end: int) -> None:
    got = s3.get_object(Bucket=bucket, Key="key", Range=header)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {start}-{end - 1}/100000"
    assert got["Body"].read() == BODY[start:end]


@pytest.mark.parametrize("header", ["bytes=100000-", "bytes=-0"])
def test_ranges_outside_are_refused(s3: Any, bucket: str, head: Any, header: str) -> None:
    assert refused(s3.get_object, Bucket=bucket, Key="key", Range=header) == (416, "InvalidRange")


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b"])
def test_what_is_no_range_is_ignored(s3: Any, bucket: str, head: Any, header: str) -> None:
    got = s3.get_object(Bucket=bucket, Key="key", Range=header)
    assert (got["ResponseMetadata"]["HTTPStatusCode"], got["ContentLength"]) == (200, len(BODY))


@given(st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True), st.integers(0, 2000))
def test_a_selected_range_always_lies_within(header: str, size: int) -> None:
    try:
        selected = select_range(header, size)
    except CallerError:
        selected = None
    if selected is not None:
        offset, length = selected
        assert length > 0
        assert offset >= 0
        assert offset + length <= size
