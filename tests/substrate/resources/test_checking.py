from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.resources import ListSpec, Resource, StateMachine, check
from tests.substrate.declared import JOB, MODEL

assert JOB.listing is not None
LISTING: ListSpec = JOB.listing


def test_declarations_that_the_service_model_knows_pass() -> None:
    check(JOB)
    check(MODEL)


def test_a_machine_given_as_a_function_passes_and_refuses_what_it_does_not_know() -> None:
    def follow(state: str, event: str) -> str:
        if (state, event) != ("InProgress", "complete"):
            raise ValueError("no")
        return "Completed"

    machine = StateMachine("InProgress", follow, frozenset({"Completed"}))
    check(replace(JOB, machine=machine))
    assert machine.next("InProgress", "complete") == "Completed"
    with pytest.raises(Fault, match="no event 'stop'"):
        machine.next("InProgress", "stop")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noun": "TrainingJobb"}, "no operation CreateTrainingJobb"),
        ({"name_member": "TrainingName"}, "CreateTrainingJobRequest has no member TrainingName"),
        ({"arn_member": "JobArn"}, "CreateTrainingJobResponse has no member JobArn"),
        ({"status_member": "Status"}, "DescribeTrainingJobResponse has no member Status"),
        ({"delete": "RemoveTrainingJob"}, "no operation RemoveTrainingJob"),
        ({"describe_operation": "ShowTrainingJob"}, "no operation ShowTrainingJob"),
        ({"machine": StateMachine("Running", {}, frozenset())}, "Running.* is no TrainingJobStatus"),
        ({"machine": replace(JOB.machine, terminal=frozenset({"Finished"}))}, "Finished.* is no TrainingJobStatus"),
        ({"listing": replace(LISTING, operation="ListTraining")}, "no operation ListTraining"),
        ({"listing": replace(LISTING, member="Summaries")}, "ListTrainingJobsResponse has no member Summaries"),
        ({"listing": replace(LISTING, equals={"StateEquals": "status"})}, "has no member StateEquals"),
        ({"listing": replace(LISTING, sort={"Size": "name"})}, "cannot sort by"),
        ({"listing": replace(LISTING, default_order="Upward")}, "'Upward' is no order"),
    ],
)
def test_a_declaration_that_names_what_does_not_exist_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Fault, match=message):
        check(replace(JOB, **changes))


def test_a_verb_that_a_noun_does_not_have_is_not_looked_for() -> None:
    absent: dict[str, Any] = {"create": None, "describe_operation": None, "delete": None}
    silent = Resource("sagemaker", "Nothing", "nothing", "NothingName", "NothingArn", **absent)
    check(silent)
    assert silent.operation("Create") is None
    assert JOB.operation("Delete") == "DeleteTrainingJob"
