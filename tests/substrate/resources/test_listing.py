from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, update

from sagebrush.substrate.calls import Call
from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import Row, insert, page, soft_delete
from sagebrush.substrate.resources.tables import resources
from tests.substrate.declared import JOB, MODEL, call_on

EPOCH = 1_800_000_000_000_000
NAMES = st.text(alphabet="aAbBzZ09-", min_size=1, max_size=8)


@dataclass(frozen=True)
class Stored:
    """What the oracle knows of a row."""

    name: str
    created: int
    modified: int
    status: str
    id: str = ""


STORED = st.builds(
    Stored,
    name=NAMES,
    created=st.integers(0, 5),
    modified=st.integers(0, 5),
    status=st.sampled_from(["InProgress", "Completed", "Failed"]),
)
TIMES = st.integers(0, 5).map(lambda seconds: to_datetime(EPOCH + seconds * 1_000_000))
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "MaxResults": st.integers(1, 7),
        "SortBy": st.sampled_from(["Name", "CreationTime", "Status"]),
        "SortOrder": st.sampled_from(["Ascending", "Descending"]),
        "NameContains": st.sampled_from(["a", "A", "0", "-", "zz", "_", "%"]),
        "StatusEquals": st.sampled_from(["InProgress", "Completed"]),
        "CreationTimeAfter": TIMES,
        "CreationTimeBefore": TIMES,
        "LastModifiedTimeAfter": TIMES,
        "LastModifiedTimeBefore": TIMES,
    },
)


def store_all(platform: Platform, call: Call, wanted: list[Stored]) -> list[Stored]:
    """Insert them, at the times and states they name."""

    def run(tx: Connection) -> list[Stored]:
        stored = []
        for each in wanted:
            row = insert(tx, JOB, call=call, name=each.name, body={}, status=each.status, wake=False)
            times = {"created_us": EPOCH + each.created * 1_000_000, "modified_us": EPOCH + each.modified * 1_000_000}
            tx.execute(update(resources).where(resources.c.id == row.id).values(**times))
            stored.append(replace(each, id=row.id))
        return stored

    return platform.store.write(run)


def expected(stored: list[Stored], request: dict[str, Any]) -> list[str]:
    """The naive answer: filter, sort, no pages."""

    def keeps(each: Stored) -> bool:
        created, modified = (to_datetime(EPOCH + second * 1_000_000) for second in (each.created, each.modified))
        return (
            request.get("NameContains", "").lower() in each.name.lower()
            and request.get("StatusEquals", each.status) == each.status
            and ("CreationTimeAfter" not in request or created > request["CreationTimeAfter"])
            and ("CreationTimeBefore" not in request or created < request["CreationTimeBefore"])
            and ("LastModifiedTimeAfter" not in request or modified > request["LastModifiedTimeAfter"])
            and ("LastModifiedTimeBefore" not in request or modified < request["LastModifiedTimeBefore"])
        )

    key = {"Name": "name", "CreationTime": "created", "Status": "status"}[request.get("SortBy", "CreationTime")]
    kept = sorted(filter(keeps, stored), key=lambda each: (getattr(each, key), each.id))
    if request.get("SortOrder", "Ascending") == "Descending":
        kept.reverse()
    return [each.name for each in kept]


def walk(platform: Platform, call: Call, request: dict[str, Any]) -> list[list[str]]:
    """All pages, as a client's paginator takes them."""
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while True:
        answer = platform.store.read(lambda c: page(c, JOB, call, request | token))  # noqa: B023
        pages.append([summary["TrainingJobName"] for summary in answer["TrainingJobSummaries"]])
        if "NextToken" not in answer:
            return pages
        token = {"NextToken": answer["NextToken"]}


def listing(platform: Platform) -> Call:
    """A call of ListTrainingJobs in an account of its own."""
    return call_on(platform, "ListTrainingJobs", account=str(uuid.uuid4().int)[:12])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(STORED, max_size=14, unique_by=lambda each: each.name), request=REQUESTS)
def test_pages_together_are_the_naive_answer(platform: Platform, wanted: list[Stored], request: dict[str, Any]) -> None:
    call = listing(platform)
    stored = store_all(platform, call, wanted)
    pages = walk(platform, call, request)
    limit = request.get("MaxResults", 10)
    assert list(chain(*pages)) == expected(stored, request)
    assert all(len(names) == limit for names in pages[:-1])
    assert pages[-1] or len(pages) == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(STORED, min_size=3, max_size=10, unique_by=lambda each: each.name),
    late=st.lists(STORED, max_size=6, unique_by=lambda each: each.name),
    request=st.fixed_dictionaries(
        {"MaxResults": st.integers(1, 3)},
        optional={
            "SortBy": st.sampled_from(["Name", "CreationTime", "Status"]),
            "SortOrder": st.sampled_from(["Ascending", "Descending"]),
        },
    ),
)
def test_what_is_created_between_pages_doubles_nothing_and_hides_nothing(
    platform: Platform, before: list[Stored], late: list[Stored], request: dict[str, Any]
) -> None:
    call = listing(platform)
    stored = store_all(platform, call, before)
    first = platform.store.read(lambda c: page(c, JOB, call, request))
    known = {each.name for each in before}
    store_all(platform, call, [each for each in late if each.name not in known])
    seen = [summary["TrainingJobName"] for summary in first["TrainingJobSummaries"]]
    if "NextToken" in first:
        seen += list(chain(*walk(platform, call, request | {"NextToken": first["NextToken"]})))
    assert [name for name in seen if name in known] == expected(stored, request)
    assert len(seen) == len(set(seen))


def create(platform: Platform, call: Call, name: str, **body: Any) -> Row:
    return platform.store.write(lambda tx: insert(tx, JOB, call=call, name=name, body=body))


def names(platform: Platform, call: Call, **request: Any) -> list[str]:
    answer = platform.store.read(lambda c: page(c, JOB, call, request))
    return [summary["TrainingJobName"] for summary in answer["TrainingJobSummaries"]]


def test_an_empty_listing_still_has_its_list_and_no_token(platform: Platform) -> None:
    assert platform.store.read(lambda c: page(c, JOB, listing(platform), {})) == {"TrainingJobSummaries": []}


def test_a_page_that_is_exactly_full_has_no_token(platform: Platform) -> None:
    call = listing(platform)
    for number in range(10):
        create(platform, call, f"job-{number}")
    assert "NextToken" not in platform.store.read(lambda c: page(c, JOB, call, {}))
    create(platform, call, "job-10")
    assert "NextToken" in platform.store.read(lambda c: page(c, JOB, call, {}))


def test_the_deleted_and_other_kinds_are_not_listed(platform: Platform) -> None:
    call = listing(platform)
    gone = create(platform, call, "gone")
    create(platform, call, "here")
    platform.store.write(lambda tx: insert(tx, MODEL, call=call, name="model", body={}))
    platform.store.write(lambda tx: soft_delete(tx, gone, now_us=EPOCH))
    assert names(platform, call) == ["here"]


def test_a_filter_may_look_into_the_body(platform: Platform) -> None:
    call = listing(platform)
    create(platform, call, "one", Plan="arn:plan/a")
    create(platform, call, "two", Plan="arn:plan/b'\"$.")
    create(platform, call, "three")
    assert names(platform, call, TrainingPlanArnEquals="arn:plan/b'\"$.") == ["two"]


def test_a_listing_may_be_sorted_by_a_member_of_the_body(platform: Platform) -> None:
    call = listing(platform)
    for name, plan in (("one", "b"), ("two", "a"), ("three", None), ("four", "a")):
        create(platform, call, name, Plan=plan)
    assert JOB.listing is not None
    sorted_by_plan = replace(JOB, listing=replace(JOB.listing, sort={"Name": "body.Plan"}))
    request: dict[str, Any] = {"SortBy": "Name", "MaxResults": 2}
    first = platform.store.read(lambda c: page(c, sorted_by_plan, call, request))
    request["NextToken"] = first["NextToken"]
    second = platform.store.read(lambda c: page(c, sorted_by_plan, call, request))
    found = first["TrainingJobSummaries"] + second["TrainingJobSummaries"]
    assert [summary["TrainingJobName"] for summary in found] == ["three", "two", "four", "one"]


@pytest.fixture
def paged(platform: Platform) -> tuple[Call, dict[str, Any]]:
    """A listing with a second page, and the request for it."""
    call = listing(platform)
    for number in range(3):
        create(platform, call, f"job-{number}")
    request: dict[str, Any] = {"MaxResults": 1, "NameContains": "job", "SortOrder": "Ascending"}
    return call, request | {"NextToken": platform.store.read(lambda c: page(c, JOB, call, request))["NextToken"]}


def refused(platform: Platform, call: Call, request: dict[str, Any]) -> str:
    with pytest.raises(CallerError) as caught:
        platform.store.read(lambda c: page(c, JOB, call, request))
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_the_page_size_may_change_between_pages(platform: Platform, paged: tuple[Call, dict[str, Any]]) -> None:
    call, request = paged
    assert names(platform, call, **request | {"MaxResults": 100}) == ["job-1", "job-2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"NameContains": "jo"},
        {"SortOrder": "Descending"},
        {"StatusEquals": "Failed"},
        {"CreationTimeAfter": to_datetime(EPOCH)},
    ],
)
def test_a_token_is_good_for_its_filters_only(
    platform: Platform, paged: tuple[Call, dict[str, Any]], changes: dict[str, Any]
) -> None:
    call, request = paged
    assert "Invalid NextToken" in refused(platform, call, request | changes)


@pytest.mark.parametrize(
    "changes", [{"account": "999999999999"}, {"region": "eu-west-1"}, {"operation": "ListModels"}, {"service": "other"}]
)
def test_a_token_is_good_for_its_operation_and_account_only(
    platform: Platform, paged: tuple[Call, dict[str, Any]], changes: dict[str, str]
) -> None:
    call, request = paged
    assert "Invalid NextToken" in refused(platform, replace(call, **changes), request)  # type: ignore[arg-type]


def test_a_token_with_any_bit_changed_is_refused(platform: Platform, paged: tuple[Call, dict[str, Any]]) -> None:
    call, request = paged
    sealed = base64.urlsafe_b64decode(request["NextToken"])
    for position in range(len(sealed)):
        forged = bytearray(sealed)
        forged[position] ^= 1
        token = base64.urlsafe_b64encode(bytes(forged)).decode()
        assert "Invalid NextToken" in refused(platform, call, request | {"NextToken": token})


@pytest.mark.parametrize("token", ["x", "AAAA", "====", "ü", "a b", "A" * 8192, "e30="])
def test_nonsense_for_a_token_is_refused(platform: Platform, paged: tuple[Call, dict[str, Any]], token: str) -> None:
    call, request = paged
    assert "Invalid NextToken" in refused(platform, call, request | {"NextToken": token})
