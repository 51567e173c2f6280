from __future__ import annotations

from typing import Any

import pytest

from tests.aws.s3.errors import refused

KEYS = ["a", "a/b", "a/c/d", "a/c/e", "b+ü", "b/ x", "c", "\U0001f600", "\uffee"]


@pytest.fixture
def filled(s3: Any, bucket: str) -> str:
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def test_keys_come_in_the_order_of_their_utf8_bytes(s3: Any, filled: str) -> None:
    listed = s3.list_objects_v2(Bucket=filled)
    assert [entry["Key"] for entry in listed["Contents"]] == sorted(KEYS, key=str.encode)
    assert (listed["KeyCount"], listed["IsTruncated"], listed["Name"], listed["MaxKeys"]) == (
        len(KEYS),
        False,
        filled,
        1000,
    )
    first = listed["Contents"][0]
    assert (first["Size"], first["StorageClass"]) == (1, "STANDARD")
    assert "Owner" not in first
    assert s3.list_objects_v2(Bucket=filled, FetchOwner=True)["Contents"][0]["Owner"]["ID"]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_pages_of_any_size_are_the_whole(s3: Any, filled: str, operation: str, size: int) -> None:
    paginator = s3.get_paginator(operation)
    pages = list(paginator.paginate(Bucket=filled, Delimiter="/", PaginationConfig={"PageSize": size}))
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    assert keys == ["a", "b+ü", "c", "\uffee", "\U0001f600"]
    assert prefixes == ["a/", "b/"]
    counts = [len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) for page in pages]
    assert all(count == size for count in counts[:-1])


def test_prefix_and_delimiter_go_together(s3: Any, filled: str) -> None:
    listed = s3.list_objects_v2(Bucket=filled, Prefix="a/", Delimiter="/")
    assert [entry["Key"] for entry in listed["Contents"]] == ["a/b"]
    assert [entry["Prefix"] for entry in listed["CommonPrefixes"]] == ["a/c/"]
    assert (listed["Prefix"], listed["Delimiter"]) == ("a/", "/")
    nothing = s3.list_objects_v2(Bucket=filled, Prefix="zzz")
    assert nothing["KeyCount"] == 0
    assert "Contents" not in nothing


def test_a_listing_starts_after_a_key(s3: Any, filled: str) -> None:
    listed = s3.list_objects_v2(Bucket=filled, StartAfter="b+ü")
    assert listed["StartAfter"] == "b+ü"
    assert listed["Contents"][0]["Key"] == "b/ x"
    first = s3.list_objects(Bucket=filled, Marker="b+ü")
    assert (first["Marker"], first["Contents"][0]["Key"]) == ("b+ü", "b/ x")


def test_the_first_version_gives_a_marker_only_with_a_delimiter(s3: Any, filled: str) -> None:
    plain = s3.list_objects(Bucket=filled, MaxKeys=2)
    assert plain["IsTruncated"] is True
    assert "NextMarker" not in plain
    grouped = s3.list_objects(Bucket=filled, MaxKeys=2, Delimiter="/")
    assert grouped["NextMarker"] == "a/"
    assert plain["Contents"][0]["Owner"]["ID"]


def test_arguments_of_listings_are_checked(s3: Any, filled: str) -> None:
    assert s3.list_objects_v2(Bucket=filled, MaxKeys=0)["KeyCount"] == 0
    assert s3.list_objects_v2(Bucket=filled, MaxKeys=5000)["MaxKeys"] == 1000
    assert refused(s3.list_objects_v2, Bucket=filled, MaxKeys=-1) == (400, "InvalidArgument")
    bad_token = refused(s3.list_objects_v2, Bucket=filled, ContinuationToken="nonsense")
    assert bad_token == (400, "InvalidArgument")
    assert refused(s3.list_objects_v2, Bucket="no-such-bucket-at-all") == (404, "NoSuchBucket")


def test_every_object_is_its_own_latest_version(s3: Any, filled: str) -> None:
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=filled, PaginationConfig={"PageSize": 4})
    versions = [version for page in pages for version in page["Versions"]]
    assert [version["Key"] for version in versions] == sorted(KEYS, key=str.encode)
    assert {(version["VersionId"], version["IsLatest"]) for version in versions} == {("null", True)}
