from __future__ import annotations

from typing import Any

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import TAG_OPERATIONS, insert, soft_delete
from tests.substrate.declared import JOB, call_on


def tags(count: int, prefix: str = "k") -> list[dict[str, str]]:
    return [{"Key": f"{prefix}{number:02}", "Value": str(number)} for number in range(count)]


@pytest.fixture
def arn(platform: Platform) -> str:
    call = call_on(platform)
    return platform.store.write(lambda tx: insert(tx, JOB, call=call, name="job", body={}, tags=tags(1, "own"))).arn


def run(platform: Platform, operation: str, **request: Any) -> dict[str, Any]:
    return TAG_OPERATIONS[operation](call_on(platform, operation), request)


def refused(platform: Platform, operation: str, **request: Any) -> str:
    with pytest.raises(CallerError) as caught:
        run(platform, operation, **request)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_tags_are_added_overwritten_listed_by_key_and_removed(platform: Platform, arn: str) -> None:
    answer = run(platform, "AddTags", ResourceArn=arn, Tags=[{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}])
    everything = [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "1"}, {"Key": "own00", "Value": "0"}]
    assert answer == {"Tags": everything}
    run(platform, "AddTags", ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    assert run(platform, "ListTags", ResourceArn=arn)["Tags"][1] == {"Key": "b", "Value": "2"}
    assert run(platform, "DeleteTags", ResourceArn=arn, TagKeys=["b", "own00", "absent"]) == {}
    assert run(platform, "ListTags", ResourceArn=arn) == {"Tags": [{"Key": "a", "Value": ""}]}


def test_a_resource_without_tags_lists_none(platform: Platform, arn: str) -> None:
    run(platform, "DeleteTags", ResourceArn=arn, TagKeys=["own00"])
    assert run(platform, "ListTags", ResourceArn=arn) == {"Tags": []}


def test_fifty_tags_are_the_limit_and_a_refused_addition_adds_nothing(platform: Platform, arn: str) -> None:
    run(platform, "AddTags", ResourceArn=arn, Tags=tags(49))
    assert "at most 50 tags" in refused(platform, "AddTags", ResourceArn=arn, Tags=tags(2, "more"))
    assert len(run(platform, "ListTags", ResourceArn=arn)["Tags"]) == 50
    # Overwriting needs no room.
    run(platform, "AddTags", ResourceArn=arn, Tags=[{"Key": "k00", "Value": "new"}])


def test_a_key_given_twice_is_refused(platform: Platform, arn: str) -> None:
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert "Duplicate tag keys" in refused(platform, "AddTags", ResourceArn=arn, Tags=twice)


@pytest.mark.parametrize("key", ["aws:x", "AWS:x", "Aws:"])
def test_awss_own_prefix_is_refused(platform: Platform, arn: str, key: str) -> None:
    assert "aws:" in refused(platform, "AddTags", ResourceArn=arn, Tags=[{"Key": key, "Value": ""}])


def test_creating_with_tags_that_break_a_rule_creates_nothing(platform: Platform) -> None:
    call = call_on(platform)
    with pytest.raises(CallerError, match="at most 50"):
        platform.store.write(lambda tx: insert(tx, JOB, call=call, name="crowded", body={}, tags=tags(51)))
    platform.store.write(lambda tx: insert(tx, JOB, call=call, name="crowded", body={}))


@pytest.mark.parametrize("operation", ["AddTags", "ListTags", "DeleteTags"])
def test_a_missing_deleted_or_foreign_resource_is_refused(platform: Platform, operation: str) -> None:
    requests: dict[str, dict[str, Any]] = {"AddTags": {"Tags": tags(1)}, "DeleteTags": {"TagKeys": ["k"]}}
    request = requests.get(operation, {})
    mine = platform.store.write(lambda tx: insert(tx, JOB, call=call_on(platform), name="gone", body={}))
    platform.store.write(lambda tx: soft_delete(tx, mine, now_us=1))
    other = call_on(platform, account="999999999999")
    foreign = platform.store.write(lambda tx: insert(tx, JOB, call=other, name="theirs", body={}))
    for arn in ("arn:aws:sagemaker:us-east-1:123456789012:training-job/never", mine.arn, foreign.arn):
        message = refused(platform, operation, ResourceArn=arn, **request)
        assert message == f"Could not find resource {arn}"
