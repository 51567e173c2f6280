from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

from sagebrush.substrate.clock import from_datetime
from sagebrush.substrate.events import Event, consume, emit, envelope, prune, read_after
from sagebrush.substrate.events.tables import outbox, outbox_consumers
from sagebrush.substrate.store import Store

ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/job"
NOW = from_datetime(datetime(2020, 3, 10, 9, 16, 30, 250_000, UTC))


class Refused(Exception):
    """Raised inside transactions under test."""


def say(tx: Connection, what: Any = "x", *, time_us: int = NOW) -> int:
    return emit(
        tx,
        account="123456789012",
        region="us-east-1",
        source="aws.sagemaker",
        detail_type="SageMaker Training Job State Change",
        time_us=time_us,
        resource_arn=ARN,
        detail={"What": what},
        causation_id="request-1",
    )


def everything(store: Store) -> list[Event]:
    return store.read(lambda c: read_after(c, 0, 10_000))


def test_an_event_has_eventbridges_envelope(state: Store) -> None:
    state.write(say)
    (event,) = everything(state)
    assert envelope(event) == {
        "version": "0",
        "id": event.id,
        "detail-type": "SageMaker Training Job State Change",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": "2020-03-10T09:16:30Z",
        "region": "us-east-1",
        "resources": [ARN],
        "detail": {"What": "x"},
        "sagebrush": {"sequence": 1, "causationId": "request-1"},
    }


def test_sequences_have_no_gaps_though_transactions_fail(state: Store) -> None:
    def refuse(tx: Connection) -> None:
        say(tx)
        raise Refused

    for _ in range(3):
        state.write(say)
        with pytest.raises(Refused):
            state.write(refuse)
    assert [event.sequence for event in everything(state)] == [1, 2, 3]


def test_a_follower_never_sees_a_later_event_before_an_earlier_one(state: Store) -> None:
    """A reader that remembers its position loses nothing, whoever commits when."""
    seen: list[int] = []
    finished = threading.Event()

    def follow() -> None:
        while True:
            last_round = finished.is_set()
            seen.extend(event.sequence for event in state.read(lambda c: read_after(c, seen[-1] if seen else 0)))
            if last_round:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: state.write(say), range(60)))
    finished.set()
    follower.join()
    assert seen == list(range(1, 61))


def test_a_consumer_gets_each_event_once_and_in_order(state: Store) -> None:
    got: list[int] = []

    def take(tx: Connection, event: Event) -> None:
        got.append(event.sequence)

    assert consume(state, "rules", take) == 0
    for _ in range(5):
        state.write(say)
    assert consume(state, "rules", take, limit=3) == 3
    assert consume(state, "rules", take, limit=3) == 2
    assert consume(state, "rules", take) == 0
    assert got == [1, 2, 3, 4, 5]
    assert consume(state, "another", lambda tx, event: None) == 5


def test_a_consumers_effect_and_position_are_one(state: Store) -> None:
    for _ in range(2):
        state.write(say)

    def stumble(tx: Connection, event: Event) -> None:
        tx.execute(insert(outbox_consumers).values(consumer=f"effect-{event.sequence}", sequence=0))
        if event.sequence == 2:
            raise Refused

    with pytest.raises(Refused):
        consume(state, "rules", stumble)
    known = state.read(lambda c: list(c.execute(select(outbox_consumers.c.consumer)).scalars()))
    assert known == []
    assert consume(state, "rules", lambda tx, event: None) == 2


def test_two_who_consume_under_one_name_share_the_events(state: Store) -> None:
    for _ in range(40):
        state.write(say)

    def take(tx: Connection, event: Event) -> None:
        tx.execute(insert(outbox_consumers).values(consumer=f"effect-{event.sequence}", sequence=0))

    def drain(_: int) -> int:
        total = 0
        while count := consume(state, "rules", take, limit=5):
            total += count
        return total

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(drain, range(4))) == 40


def test_consuming_nothing_commits_nothing(state: Store) -> None:
    before = state.stats()
    assert consume(state, "rules", lambda tx, event: None) == 0
    assert state.stats() == before


def test_timestamps_in_a_detail_are_milliseconds(state: Store) -> None:
    state.write(lambda tx: say(tx, {"When": datetime(2020, 3, 10, 9, 16, 30, 250_000, UTC)}))
    assert everything(state)[0].detail == {"What": {"When": 1583831790250}}
    with pytest.raises(TypeError, match="set in an event"):
        state.write(lambda tx: say(tx, {1}))


def test_pruning_keeps_what_is_young_or_not_yet_consumed(state: Store) -> None:
    for age in (3, 2, 1):
        state.write(lambda tx, age=age: say(tx, time_us=NOW - age))  # type: ignore[misc]
    consume(state, "slow", lambda tx, event: None, limit=1)
    assert state.write(lambda tx: prune(tx, before_us=NOW - 1)) == 1
    assert [event.sequence for event in everything(state)] == [2, 3]
    consume(state, "slow", lambda tx, event: None)
    assert state.write(lambda tx: prune(tx, before_us=NOW)) == 2
    assert state.read(lambda c: c.execute(select(func.count()).select_from(outbox)).scalar_one()) == 0
    # The count goes on where it was.
    assert state.write(say) == 4
