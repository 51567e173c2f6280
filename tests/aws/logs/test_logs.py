"""CloudWatch Logs as its clients use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagebrush.aws.logs import CAPABILITY
from sagebrush.substrate.errors import CallerError
from tests.aws.calling import Caller, calling

NOW = 1_700_000_000_000
GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Caller]:
    with calling(CAPABILITY, "logs", tmp_path) as caller:
        yield caller


@pytest.fixture
def group(logs: Caller) -> str:
    logs.call("CreateLogGroup", logGroupName=GROUP)
    return GROUP


def put(logs: Caller, stream: str, *messages: str, start: int = NOW) -> dict[str, Any]:
    events = [{"timestamp": start + n, "message": message} for n, message in enumerate(messages)]
    return logs.call("PutLogEvents", logGroupName=GROUP, logStreamName=stream, logEvents=events)


def refused(logs: Caller, operation: str, **request: Any) -> tuple[str, str]:
    with pytest.raises(CallerError) as caught:
        logs.call(operation, **request)
    return caught.value.code, caught.value.message


def test_missing_groups_and_streams_have_the_words_of_aws(logs: Caller) -> None:
    request = {"logGroupName": GROUP, "logStreamName": "s"}
    no_group = ("ResourceNotFoundException", "The specified log group does not exist.")
    assert refused(logs, "GetLogEvents", **request) == no_group
    assert refused(logs, "DescribeLogStreams", logGroupName=GROUP) == no_group
    assert refused(logs, "FilterLogEvents", logGroupName=GROUP) == no_group
    assert refused(logs, "DeleteLogGroup", logGroupName=GROUP) == no_group
    logs.call("CreateLogGroup", logGroupName=GROUP)
    no_stream = ("ResourceNotFoundException", "The specified log stream does not exist.")
    assert refused(logs, "GetLogEvents", **request) == no_stream
    assert refused(logs, "PutLogEvents", **request, logEvents=[{"timestamp": NOW, "message": "x"}]) == no_stream
    assert refused(logs, "FilterLogEvents", logGroupName=GROUP, logStreamNames=["s"]) == no_stream


def test_what_exists_cannot_be_created_again(logs: Caller, group: str) -> None:
    logs.call("CreateLogStream", logGroupName=group, logStreamName="s")
    assert refused(logs, "CreateLogGroup", logGroupName=group)[0] == "ResourceAlreadyExistsException"
    again = refused(logs, "CreateLogStream", logGroupName=group, logStreamName="s")
    assert again[0] == "ResourceAlreadyExistsException"


def test_reading_ends_with_an_empty_page_that_repeats_its_token(logs: Caller, group: str) -> None:
    logs.call("CreateLogStream", logGroupName=group, logStreamName="s")
    put(logs, "s", *(f"{n}" for n in range(10)))
    request: dict[str, Any] = {"logGroupName": group, "logStreamName": "s", "startFromHead": True, "limit": 4}
    found, sizes, tokens = [], [], []
    while True:
        page = logs.call("GetLogEvents", **request)
        assert page["nextBackwardToken"].startswith("b/")
        found += [event["message"] for event in page["events"]]
        sizes.append(len(page["events"]))
        tokens.append(page["nextForwardToken"])
        if not page["events"]:
            break
        request["nextToken"] = page["nextForwardToken"]
    assert found == [f"{n}" for n in range(10)]
    assert sizes == [4, 4, 2, 0]
    assert tokens[-1] == tokens[-2]
    ingested = logs.call("GetLogEvents", logGroupName=group, logStreamName="s")["events"][0]["ingestionTime"]
    assert ingested == NOW


def test_describe_log_streams_sorts_filters_and_ends_without_a_token(logs: Caller, group: str) -> None:
    for number, stream in enumerate(["job/algo-2-1", "job/algo-1-1", "other/algo-1-1"]):
        logs.call("CreateLogStream", logGroupName=group, logStreamName=stream)
        put(logs, stream, "x", start=NOW - 1000 * number)

    def names(**request: Any) -> list[str]:
        answer = logs.call("DescribeLogStreams", logGroupName=group, **request)
        assert "nextToken" not in answer
        return [stream["logStreamName"] for stream in answer["logStreams"]]

    assert names(logStreamNamePrefix="job/", orderBy="LogStreamName") == ["job/algo-1-1", "job/algo-2-1"]
    assert names(orderBy="LastEventTime", descending=True) == ["job/algo-2-1", "job/algo-1-1", "other/algo-1-1"]
    assert names(logStreamNamePrefix="none/") == []
    assert refused(
        logs, "DescribeLogStreams", logGroupName=group, logStreamNamePrefix="j", orderBy="LastEventTime"
    ) == (
        "InvalidParameterException",
        "Cannot order by LastEventTime with a logStreamNamePrefix.",
    )


@pytest.mark.parametrize("order", ["LogStreamName", "LastEventTime"])
@pytest.mark.parametrize("descending", [False, True])
def test_log_streams_are_paged_completely(logs: Caller, group: str, order: str, descending: bool) -> None:
    for number in range(11):
        name = f"s{number:02d}"
        logs.call("CreateLogStream", logGroupName=group, logStreamName=name)
        if number % 3:
            put(logs, name, "x", start=NOW - 1000 * (number % 2))
    request: dict[str, Any] = {"logGroupName": group, "orderBy": order, "descending": descending}
    whole = [s["logStreamName"] for s in logs.call("DescribeLogStreams", **request)["logStreams"]]
    paged: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = logs.call("DescribeLogStreams", **request, limit=4, **token)
        paged += [s["logStreamName"] for s in answer["logStreams"]]
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert paged == whole
    assert len(set(paged)) == 11


def test_a_token_serves_only_its_own_listing(logs: Caller, group: str) -> None:
    for name in ("a", "b"):
        logs.call("CreateLogStream", logGroupName=group, logStreamName=name)
    token = logs.call("DescribeLogStreams", logGroupName=group, limit=1)["nextToken"]
    for other in ({"descending": True}, {"logStreamNamePrefix": "a"}):
        code, _ = refused(logs, "DescribeLogStreams", logGroupName=group, nextToken=token, **other)
        assert code == "InvalidParameterException"
    assert refused(logs, "DescribeLogGroups", nextToken=token)[0] == "InvalidParameterException"
    assert refused(logs, "DescribeLogGroups", nextToken="nonsense")[0] == "InvalidParameterException"


def test_log_groups_are_described_with_arns_size_and_retention(logs: Caller, group: str) -> None:
    logs.call("CreateLogStream", logGroupName=group, logStreamName="s")
    put(logs, "s", "12345", "678")
    logs.call("PutRetentionPolicy", logGroupName=group, retentionInDays=7)
    (described,) = logs.call("DescribeLogGroups", logGroupNamePrefix="/aws/sage")["logGroups"]
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"
    assert described["arn"] == f"{arn}:*"
    assert described["logGroupArn"] == arn
    assert (described["storedBytes"], described["retentionInDays"]) == (8, 7)
    assert logs.call("DescribeLogGroups", logGroupNamePrefix="/aws/lambda")["logGroups"] == []
    assert len(logs.call("DescribeLogGroups", logGroupNamePattern="trainingjobs")["logGroups"]) == 1
    logs.call("DeleteRetentionPolicy", logGroupName=group)
    assert "retentionInDays" not in logs.call("DescribeLogGroups")["logGroups"][0]
    assert refused(logs, "PutRetentionPolicy", logGroupName=group, retentionInDays=8)[0] == "InvalidParameterException"


def test_tags_of_a_group_are_kept(logs: Caller) -> None:
    logs.call("CreateLogGroup", logGroupName="g", tags={"team": "a"})
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:g"
    logs.call("TagResource", resourceArn=arn, tags={"stage": "dev"})
    assert logs.call("ListTagsForResource", resourceArn=arn) == {"tags": {"team": "a", "stage": "dev"}}
    logs.call("UntagResource", resourceArn=arn, tagKeys=["team"])
    assert logs.call("ListTagsForResource", resourceArn=arn) == {"tags": {"stage": "dev"}}


def test_filter_shows_streams_in_one_order_of_time_and_follows(logs: Caller, group: str) -> None:
    for stream in ("job/algo-1", "job/algo-2"):
        logs.call("CreateLogStream", logGroupName=group, logStreamName=stream)
    put(logs, "job/algo-1", "a0", "a1", "a2")
    put(logs, "job/algo-2", "b0", "b1", "b2")
    answer = logs.call("FilterLogEvents", logGroupName=group, logStreamNamePrefix="job/", limit=4)
    assert [e["message"] for e in answer["events"]] == ["a0", "b0", "a1", "b1"]
    rest = logs.call(
        "FilterLogEvents", logGroupName=group, logStreamNamePrefix="job/", limit=4, nextToken=answer["nextToken"]
    )
    assert [(e["message"], e["logStreamName"]) for e in rest["events"]] == [("a2", "job/algo-1"), ("b2", "job/algo-2")]
    assert "nextToken" not in rest
    assert rest["searchedLogStreams"] == []
    assert len({e["eventId"] for e in answer["events"] + rest["events"]}) == 6
    since = logs.call("FilterLogEvents", logGroupName=group, startTime=NOW + 1, endTime=NOW + 1)
    assert [e["message"] for e in since["events"]] == ["a1", "b1"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("ERROR", ["ERROR disk full", "WARN then ERROR"]),
        ("error", []),
        ('"disk full"', ["ERROR disk full"]),
        ("?WARN ?disk", ["ERROR disk full", "WARN then ERROR"]),
        ("ERROR -disk", ["WARN then ERROR"]),
        ('-ERROR -"all is"', ["step 1"]),
        ("", ["ERROR disk full", "WARN then ERROR", "all is well", "step 1"]),
        ('"ERROR disk" full', ["ERROR disk full"]),
    ],
)
def test_filter_patterns_of_terms(logs: Caller, group: str, pattern: str, expected: list[str]) -> None:
    logs.call("CreateLogStream", logGroupName=group, logStreamName="s")
    put(logs, "s", "ERROR disk full", "WARN then ERROR", "all is well", "step 1")
    answer = logs.call("FilterLogEvents", logGroupName=group, filterPattern=pattern)
    assert [e["message"] for e in answer["events"]] == expected


@pytest.mark.parametrize("pattern", ["{ $.level = 1 }", "[a, b]", "%ERR.*%", "foo-bar", '"open'])
def test_patterns_that_are_not_served_are_refused(logs: Caller, group: str, pattern: str) -> None:
    code, message = refused(logs, "FilterLogEvents", logGroupName=group, filterPattern=pattern)
    assert code == "InvalidParameterException"
    assert message.startswith("Invalid ")


def test_put_refuses_what_aws_refuses(logs: Caller, group: str) -> None:
    logs.call("CreateLogStream", logGroupName=group, logStreamName="s")

    def told(*events: tuple[int, str]) -> str:
        items = [{"timestamp": time, "message": message} for time, message in events]
        return refused(logs, "PutLogEvents", logGroupName=group, logStreamName="s", logEvents=items)[1]

    assert "chronological order" in told((NOW, "b"), (NOW - 1, "a"))
    assert "more than 24 hours" in told((NOW - 90_000_000, "a"), (NOW, "b")).replace("cannot span", "")
    assert "exceeds limit of 1048576" in told(*[(NOW, "x" * 250_000)] * 5)


def test_put_leaves_out_what_is_too_old_or_too_new_and_says_which(logs: Caller, group: str) -> None:
    logs.call("CreateLogStream", logGroupName=group, logStreamName="s")
    future = put(logs, "s", "now", "soon", start=NOW + 7_200_000)
    assert future["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    past = put(logs, "s", "old", start=NOW - 15 * 86_400_000)
    assert past["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    events = logs.call("GetLogEvents", logGroupName=group, logStreamName="s")["events"]
    assert [event["message"] for event in events] == ["now"]


def test_groups_are_named_by_name_or_arn(logs: Caller, group: str) -> None:
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}:*"
    assert logs.call("DescribeLogStreams", logGroupIdentifier=arn)["logStreams"] == []
    assert refused(logs, "DescribeLogStreams")[0] == "InvalidParameterException"
    assert refused(logs, "DescribeLogStreams", logGroupName=group, logGroupIdentifier=group)[0] == (
        "InvalidParameterException"
    )


def test_policies_are_asked_about_groups_and_streams(logs: Caller) -> None:
    prefix = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    assert logs.arns("CreateLogStream", logGroupName=GROUP, logStreamName="s") == [f"{prefix}:*"]
    assert logs.arns("PutLogEvents", logGroupName=GROUP, logStreamName="s") == [f"{prefix}:log-stream:s"]
    assert logs.arns("DescribeLogGroups") == ["arn:aws:logs:us-east-1:123456789012:log-group:*"]
    assert logs.arns("ListTagsForResource", resourceArn=prefix) == [prefix]


def test_deleting_a_stream_deletes_its_events(logs: Caller, group: str) -> None:
    logs.call("CreateLogStream", logGroupName=group, logStreamName="s")
    put(logs, "s", "gone")
    logs.call("DeleteLogStream", logGroupName=group, logStreamName="s")
    logs.call("CreateLogStream", logGroupName=group, logStreamName="s")
    assert logs.call("GetLogEvents", logGroupName=group, logStreamName="s")["events"] == []
    logs.call("DeleteLogGroup", logGroupName=group)
    assert logs.call("DescribeLogGroups")["logGroups"] == []
