"""The machine of statuses: every arrow that is documented is there, and no other."""

from __future__ import annotations

import itertools

import botocore.session
import pytest

from sagebrush.training.model import wording
from sagebrush.training.model.phases import (
    START,
    TERMINAL,
    Event,
    IllegalPhase,
    Phase,
    Secondary,
    Status,
    after,
    status_transitions,
)


def path(*events: Event) -> list[tuple[str, str]]:
    phase = START
    walked = []
    for event in events:
        phase = after(phase, event)
        walked.append((phase.status.value, phase.secondary.value))
    return walked


def test_a_job_that_waits_for_capacity_walks_to_completion() -> None:
    assert path(Event.QUEUE, Event.DOWNLOAD, Event.TRAIN, Event.UPLOAD, Event.COMPLETE) == [
        ("InProgress", "Pending"),
        ("InProgress", "Downloading"),
        ("InProgress", "Training"),
        ("InProgress", "Uploading"),
        ("Completed", "Completed"),
    ]


def test_a_stopped_job_uploads_before_it_is_stopped() -> None:
    assert path(Event.DOWNLOAD, Event.TRAIN, Event.STOP, Event.UPLOAD, Event.STOPPED)[2:] == [
        ("Stopping", "Stopping"),
        ("Stopping", "Uploading"),
        ("Stopped", "Stopped"),
    ]


def test_a_job_past_its_runtime_is_stopped_and_says_why() -> None:
    walked = path(Event.DOWNLOAD, Event.TRAIN, Event.UPLOAD, Event.RUNTIME_EXCEEDED)
    assert walked[-1] == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.parametrize("events", [(), (Event.QUEUE,), (Event.DOWNLOAD,), (Event.DOWNLOAD, Event.TRAIN)])
def test_a_job_can_be_stopped_and_can_fail_in_every_phase_before_its_end(events: tuple[Event, ...]) -> None:
    assert path(*events, Event.STOP)[-1] == ("Stopping", "Stopping")
    assert path(*events, Event.FAIL)[-1] == ("Failed", "Failed")


def reachable() -> set[Phase]:
    found, frontier = {START}, {START}
    while frontier:
        following = set()
        for phase, event in itertools.product(frontier, Event):
            try:
                following.add(after(phase, event))
            except IllegalPhase:
                continue
        frontier = following - found
        found |= frontier
    return found


def test_nothing_follows_a_terminal_status() -> None:
    ends = {phase for phase in reachable() if phase.status in TERMINAL}
    assert {phase.secondary.value for phase in ends} == {
        "Completed",
        "Failed",
        "Stopped",
        "MaxRuntimeExceeded",
        "MaxWaitTimeExceeded",
    }
    for phase, event in itertools.product(ends, Event):
        with pytest.raises(IllegalPhase):
            after(phase, event)


def test_every_reachable_phase_leads_to_an_end_and_has_a_message() -> None:
    for phase in reachable():
        assert wording.MESSAGES[phase.secondary]
        seen, frontier = {phase}, {phase}
        while frontier and not any(p.status in TERMINAL for p in seen):
            frontier = {p for q in frontier for e in Event if (p := followed(q, e)) is not None} - seen
            seen |= frontier
        assert any(p.status in TERMINAL for p in seen), phase


def followed(phase: Phase, event: Event) -> Phase | None:
    try:
        return after(phase, event)
    except IllegalPhase:
        return None


def test_every_phase_is_one_that_clients_know() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    assert {s.value for s in Status} <= set(model.shape_for("TrainingJobStatus").enum)
    assert {s.value for s in Secondary} <= set(model.shape_for("SecondaryStatus").enum)


def test_the_status_alone_moves_as_the_phases_do() -> None:
    transitions = status_transitions()
    for phase, event in itertools.product(reachable(), Event):
        target = followed(phase, event)
        if target is not None:
            assert transitions[phase.status.value, event.value] == target.status.value


def test_the_message_of_a_waiting_job_tells_its_place_and_what_it_needs() -> None:
    assert "Next in the queue" in wording.waiting(0, "2 vCPU", "1 is free")
    assert "1 job ahead" in wording.waiting(1, "2 vCPU", "1 is free")
    assert "3 jobs ahead in the queue; needs 2 vCPU, 1 is free" in wording.waiting(3, "2 vCPU", "1 is free")
