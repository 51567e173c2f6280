from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from sagebrush.substrate.calls import OwnerToken
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.events import read_after
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import (
    Conflict,
    IllegalTransition,
    Lease,
    LeaseLost,
    Row,
    fetch,
    fetch_by_arn,
    fetch_by_id,
    find,
    insert,
    soft_delete,
    tags_of,
    transition,
    transitions_of,
    update_body,
)
from sagebrush.substrate.resources.tables import meters, resources
from tests.substrate.declared import ACCOUNT, JOB, MODEL, REGION, call_on, describe

NOW = 1_800_000_000_000_000


class Refused(Exception):
    """Raised after a change, in its transaction."""


def create(platform: Platform, name: str = "job", **given: Any) -> Row:
    owner = given.pop("owner", None)
    body = given.pop("body", {})
    call = call_on(platform, owner=owner)
    return platform.store.write(lambda tx: insert(tx, JOB, call=call, name=name, body=body, **given))


def move(platform: Platform, row: Row, event: str, **given: Any) -> Row:
    given.setdefault("now_us", NOW)
    return platform.store.write(lambda tx: transition(tx, JOB, row, event, **given))


def leased(platform: Platform, row: Row, owner: str = "me", token: int = 1) -> Lease:
    """A lease as the reconcile loop takes it."""
    values = {"lease_owner": owner, "lease_token": token}
    platform.store.write(lambda tx: tx.execute(update(resources).where(resources.c.id == row.id).values(**values)))
    return Lease(row.id, owner, token)


def recorded(platform: Platform, row_id: str) -> dict[str, list[Any]]:
    """Everything a change writes, wherever it lies."""

    def look(connection: Connection) -> dict[str, list[Any]]:
        where = select(meters).where(meters.c.resource_id == row_id).order_by(meters.c.started_us, meters.c.id)
        columns = select(resources).where(resources.c.id == row_id)
        return {
            "row": [dict(row) for row in connection.execute(columns).mappings()],
            "history": transitions_of(connection, row_id),
            "events": read_after(connection, 0, 1000),
            "meters": [dict(row) for row in connection.execute(where).mappings()],
        }

    return platform.store.read(look)


def test_creating_writes_row_history_event_and_meter_and_wakes_the_loop(platform: Platform) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    row = create(platform, body={"Count": 2}, secondary="Starting", message="Launching", tags=tags)
    assert row.arn == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/job"
    assert (row.status, row.generation, row.body) == ("InProgress", 1, {"Count": 2})
    written = recorded(platform, row.id)
    assert written["row"][0]["wake_at_us"] == row.created_us
    (entry,) = written["history"]
    assert (entry["status"], entry["secondary"], entry["message"]) == ("InProgress", "Starting", "Launching")
    assert (entry["started_us"], entry["ended_us"]) == (row.created_us, None)
    (event,) = written["events"]
    assert event.detail_type == "SageMaker Training Job State Change"
    assert (event.source, event.resource_arn, event.time_us) == ("aws.sagemaker", row.arn, row.created_us)
    assert event.causation_id == "11111111-2222-3333-4444-555555555555"
    (meter,) = written["meters"]
    assert json.loads(meter["attributes"]) == {"InstanceCount": 2}
    assert (meter["started_us"], meter["ended_us"]) == (row.created_us, None)
    assert platform.store.read(lambda c: tags_of(c, row.id)) == tags
    assert platform.wakeups.take() == {row.id}
    for found in (
        platform.store.read(lambda c: fetch(c, JOB, ACCOUNT, REGION, "job")),
        platform.store.read(lambda c: fetch_by_id(c, row.id)),
        platform.store.read(lambda c: fetch_by_arn(c, row.arn)),
    ):
        assert found == row


def test_a_creation_that_is_rolled_back_leaves_nothing_and_wakes_nobody(platform: Platform) -> None:
    made: list[str] = []

    def run(tx: Connection) -> None:
        made.append(insert(tx, JOB, call=call_on(platform), name="job", body={}).id)
        raise Refused

    with pytest.raises(Refused):
        platform.store.write(run)
    assert recorded(platform, made[0]) == {"row": [], "history": [], "events": [], "meters": []}
    assert platform.wakeups.take() == set()


def test_a_noun_without_states_is_created_with_an_event_and_no_background_work(platform: Platform) -> None:
    call = call_on(platform, "CreateModel")
    row = platform.store.write(lambda tx: insert(tx, MODEL, call=call, name="m", body={"EnableNetworkIsolation": True}))
    written = recorded(platform, row.id)
    assert written["row"][0]["wake_at_us"] is None
    assert written["events"][0].detail["EnableNetworkIsolation"] is True
    assert written["meters"] == []
    assert platform.wakeups.take() == set()


def test_a_name_that_is_taken_raises_the_nouns_own_error(platform: Platform) -> None:
    create(platform)
    with pytest.raises(CallerError) as caught:
        create(platform)
    assert (caught.value.code, caught.value.message) == ("ResourceInUse", "job already exists")


def test_a_name_is_taken_within_its_account_and_kind_only(platform: Platform) -> None:
    create(platform, "same")
    other = call_on(platform, account="999999999999")
    platform.store.write(lambda tx: insert(tx, JOB, call=other, name="same", body={}))
    platform.store.write(lambda tx: insert(tx, MODEL, call=call_on(platform), name="same", body={}))
    assert platform.store.read(lambda c: find(c, JOB, ACCOUNT, "eu-west-1", "same")) is None


def test_of_many_who_create_one_name_at_once_one_succeeds(platform: Platform) -> None:
    def attempt(number: int) -> str:
        try:
            return create(platform, body={"Number": number}).id
        except CallerError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(16)))
    assert outcomes.count("ResourceInUse") == 15
    made = [outcome for outcome in outcomes if outcome != "ResourceInUse"]
    assert len(recorded(platform, made[0])["events"]) == 1


def test_a_missing_name_raises_the_wording_clients_match_on(platform: Platform) -> None:
    with pytest.raises(CallerError) as caught:
        platform.store.read(lambda c: fetch(c, JOB, ACCOUNT, REGION, "nowhere"))
    assert caught.value.code == "ValidationException"
    assert "Could not find" in caught.value.message


def test_a_deleted_name_is_free_again_and_its_past_stays(platform: Platform) -> None:
    first = create(platform)
    platform.store.write(lambda tx: soft_delete(tx, first, now_us=NOW))
    with pytest.raises(CallerError, match="Could not find"):
        platform.store.read(lambda c: fetch(c, JOB, ACCOUNT, REGION, "job"))
    assert platform.store.read(lambda c: fetch_by_id(c, first.id)) is None
    second = create(platform)
    assert second.arn == first.arn
    past = recorded(platform, first.id)
    assert len(past["history"]) == 1
    assert past["meters"][0]["ended_us"] == NOW
    with pytest.raises(Conflict):
        platform.store.write(lambda tx: soft_delete(tx, first, now_us=NOW))


def test_a_repeated_owner_token_returns_what_the_first_call_made(platform: Platform) -> None:
    owner = OwnerToken("arn:aws:sagemaker:us-east-1:123456789012:pipeline/p", "train", 1)
    first = create(platform, "one", owner=owner, body={"Count": 1})
    again = create(platform, "another name", owner=owner, body={"Count": 9})
    assert again == first
    assert len(recorded(platform, first.id)["events"]) == 1
    retried = create(platform, "two", owner=replace(owner, attempt=2))
    assert retried.id != first.id


def test_a_repeated_owner_token_makes_no_second_resource_after_the_first_was_deleted(platform: Platform) -> None:
    owner = OwnerToken("arn:aws:sagemaker:us-east-1:123456789012:pipeline/p", "train", 1)
    first = create(platform, owner=owner)
    platform.store.write(lambda tx: soft_delete(tx, first, now_us=NOW))
    assert create(platform, owner=owner).id == first.id
    assert platform.store.read(lambda c: find(c, JOB, ACCOUNT, REGION, "job")) is None


def test_one_owner_token_may_make_resources_of_several_kinds(platform: Platform) -> None:
    owner = OwnerToken("arn:aws:sagemaker:us-east-1:123456789012:pipeline/p", "register", 1)
    job = create(platform, owner=owner)
    call = call_on(platform, owner=owner)
    model = platform.store.write(lambda tx: insert(tx, MODEL, call=call, name="m", body={}))
    assert (job.kind, model.kind) == ("training-job", "model")


def test_a_transition_moves_status_history_event_and_meter_together(platform: Platform) -> None:
    row = create(platform, body={"Count": 2}, secondary="Starting")
    platform.wakeups.take()
    lease = leased(platform, row)
    moved = move(
        platform, row, "progress", lease=lease, secondary="Training", message="Training image download completed",
        changes={"Count": 3, "Started": True},
    )  # fmt: skip
    assert (moved.status, moved.generation, moved.modified_us) == ("InProgress", 2, NOW)
    assert moved.body == {"Count": 3, "Started": True}
    assert platform.store.read(lambda c: fetch_by_id(c, row.id)) == replace(moved, lease_token=1)
    written = recorded(platform, row.id)
    assert [(e["secondary"], e["started_us"], e["ended_us"]) for e in written["history"]] == [
        ("Starting", row.created_us, NOW),
        ("Training", NOW, None),
    ]
    event = written["events"][-1]
    assert event.detail["SecondaryStatusTransitions"][-1]["Status"] == "Training"
    assert event.causation_id == f"{row.id}/1"
    assert [(m["started_us"], m["ended_us"], json.loads(m["attributes"])) for m in written["meters"]] == [
        (row.created_us, NOW, {"InstanceCount": 2}),
        (NOW, None, {"InstanceCount": 3}),
    ]
    # What the loop does itself need not wake it.
    assert platform.wakeups.take() == set()


def test_an_events_detail_is_the_describe_output_with_times_in_milliseconds(platform: Platform) -> None:
    row = create(platform, body={"Note": "x"})
    (event,) = recorded(platform, row.id)["events"]
    shown = describe(row, [{"secondary": None, "message": ""}])
    assert event.detail == {**shown, "CreationTime": row.created_us // 1000}


def test_an_operations_transition_wakes_the_loop_after_the_commit(platform: Platform) -> None:
    row = create(platform)
    platform.wakeups.take()
    moved = move(platform, row, "stop", call=call_on(platform, "StopTrainingJob", request_id="stop-request"))
    assert platform.wakeups.take() == {row.id}
    assert moved.wakes == row.wakes + 1
    written = recorded(platform, row.id)
    assert written["row"][0]["wake_at_us"] == NOW
    assert written["events"][-1].causation_id == "stop-request"


def test_a_terminal_transition_ends_lease_history_and_meter(platform: Platform) -> None:
    row = create(platform)
    lease = leased(platform, row)
    done = move(platform, row, "complete", lease=lease, secondary="Completed", message="Done")
    assert done.status == "Completed"
    written = recorded(platform, row.id)
    assert (written["row"][0]["wake_at_us"], written["row"][0]["lease_owner"]) == (None, None)
    assert [entry["ended_us"] for entry in written["history"]] == [NOW, NOW]
    assert [meter["ended_us"] for meter in written["meters"]] == [NOW]


def test_an_event_the_machine_does_not_know_is_refused_and_changes_nothing(platform: Platform) -> None:
    row = create(platform)
    before = recorded(platform, row.id)
    with pytest.raises(IllegalTransition, match="no event 'stopped' in state 'InProgress'"):
        move(platform, row, "stopped")
    assert recorded(platform, row.id) == before


@pytest.mark.parametrize(("owner", "token"), [("somebody else", 1), ("me", 2), ("somebody else", 2)])
def test_a_lease_that_was_taken_over_writes_nothing(platform: Platform, owner: str, token: int) -> None:
    row = create(platform)
    lease = leased(platform, row)
    leased(platform, row, owner, token)
    before = recorded(platform, row.id)
    with pytest.raises(LeaseLost):
        move(platform, row, "complete", lease=lease)
    with pytest.raises(LeaseLost):
        platform.store.write(lambda tx: update_body(tx, row, {"Count": 5}, now_us=NOW, lease=lease))
    assert recorded(platform, row.id) == before


def test_a_row_that_changed_meanwhile_is_a_conflict_and_nothing_is_written(platform: Platform) -> None:
    row = create(platform)
    lease = leased(platform, row)
    move(platform, row, "stop", call=call_on(platform, "StopTrainingJob"))
    before = recorded(platform, row.id)
    with pytest.raises(Conflict):
        move(platform, row, "complete", lease=lease)
    with pytest.raises(Conflict):
        platform.store.write(lambda tx: update_body(tx, row, {"Count": 5}, now_us=NOW))
    assert recorded(platform, row.id) == before


def test_a_deleted_resource_takes_no_transition(platform: Platform) -> None:
    row = create(platform)
    platform.store.write(lambda tx: soft_delete(tx, row, now_us=NOW))
    with pytest.raises(Conflict):
        move(platform, row, "complete")


def test_a_transition_that_is_rolled_back_leaves_no_event(platform: Platform) -> None:
    row = create(platform)
    before = recorded(platform, row.id)

    def run(tx: Connection) -> None:
        transition(tx, JOB, row, "complete", now_us=NOW)
        raise Refused

    with pytest.raises(Refused):
        platform.store.write(run)
    assert recorded(platform, row.id) == before


def test_the_body_changes_and_the_open_entrys_message_with_it(platform: Platform) -> None:
    row = create(platform, body={"Gone": 1}, secondary="Starting", message="Queued")
    changed = platform.store.write(
        lambda tx: update_body(tx, row, {"Gone": None, "New": [1]}, now_us=NOW, message="Building the environment")
    )
    assert (changed.body, changed.generation) == ({"New": [1]}, 2)
    written = recorded(platform, row.id)
    assert [entry["message"] for entry in written["history"]] == ["Building the environment"]
    assert len(written["events"]) == 1


def test_several_changes_follow_each_other_in_one_transaction(platform: Platform) -> None:
    row = create(platform)

    def run(tx: Connection) -> Row:
        first = transition(tx, JOB, row, "progress", now_us=NOW, secondary="Training")
        second = update_body(tx, first, {"Step": 1}, now_us=NOW + 1)
        return transition(tx, JOB, second, "complete", now_us=NOW + 2, secondary="Completed")

    done = platform.store.write(run)
    assert (done.status, done.generation, done.body) == ("Completed", 4, {"Step": 1})
    assert [event.sequence for event in recorded(platform, row.id)["events"]] == [1, 2, 3]


def test_timestamps_and_bytes_in_a_body_come_back_as_they_were(platform: Platform) -> None:
    body = {"When": datetime(2026, 11, 22, 1, 2, 3, 456789, UTC), "Blob": b"\0\xff", "Deep": [{"Text": "Grüße"}]}
    row = create(platform, body=body)
    assert platform.store.read(lambda c: fetch_by_id(c, row.id)) == row
    assert row.body == body


def test_ids_tell_the_order_of_creation(platform: Platform) -> None:
    ids = [create(platform, f"job-{number}").id for number in range(20)]
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {26}
