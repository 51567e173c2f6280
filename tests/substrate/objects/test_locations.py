"""S3 URIs."""

from __future__ import annotations

import pytest

from sagebrush.substrate.objects import locations


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://bucket/a/b c/ü", "bucket", "a/b c/ü"),
        ("https://s3.us-east-1.amazonaws.com/bucket/a", "bucket", "a"),
    ],
)
def test_an_s3_uri_is_a_bucket_and_a_key(uri: str, bucket: str, key: str) -> None:
    assert locations.parse(uri) == (bucket, key)


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://x", "s3://UPPER/key", "bucket/key", "http://x/y"])
def test_what_names_no_bucket_is_no_s3_uri(uri: str) -> None:
    assert not locations.is_valid(uri)
