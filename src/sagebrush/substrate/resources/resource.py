"""The declaration of a resource: everything the plain verbs need to know about a noun."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from sagebrush.substrate import arns
from sagebrush.substrate.errors import CallerError, Fault, validation


class IllegalTransition(Fault):
    """A reconciler or operation asked for a step that the state machine does not have."""


@dataclass(frozen=True)
class StateMachine:
    """Pure: ``transitions`` maps (state, event) to the next state; ``terminal`` states have no background work."""

    initial: str
    transitions: Mapping[tuple[str, str], str]
    terminal: frozenset[str]

    def next(self, state: str, event: str) -> str:
        """The state after ``event``. Raises IllegalTransition."""
        try:
            return self.transitions[state, event]
        except KeyError:
            raise IllegalTransition(f"no event {event!r} in state {state!r}") from None


@dataclass(frozen=True, slots=True)
class Row:
    """One resource as stored. ``body`` is the resource's own JSON document."""

    id: str
    account: str
    region: str
    kind: str
    name: str
    arn: str
    status: str
    created_us: int
    modified_us: int
    generation: int
    lease_token: int
    body: Mapping[str, Any]
    parent: str | None = None


@dataclass(frozen=True)
class ListSpec:
    """How the List operation reads the rows.

    ``member`` is the output's list (``TrainingJobSummaries``), ``summary`` makes one entry of it. ``equals`` maps input
    members to columns (``{"StatusEquals": "status"}``); ``sort`` maps SortBy's values to columns.
    """

    operation: str
    member: str
    summary: Callable[[Row], dict[str, Any]]
    equals: Mapping[str, str] = field(default_factory=lambda: {"StatusEquals": "status"})
    sort: Mapping[str, str] = field(
        default_factory=lambda: {"Name": "name", "CreationTime": "created_us", "Status": "status"}
    )
    default_sort: str = "created_us"
    default_order: str = "Descending"
    default_limit: int = 10


@dataclass(frozen=True)
class Resource:
    """One noun of an API, declared once.

    ``not_found`` and ``already_exists`` make the errors that clients match on (reference: AWS's own wording) from the
    row's name and ARN. ``describe`` renders a row as the Describe output: it is also the detail of its events.
    ``meter`` gives the attributes recorded with each transition, or None where nothing is metered.
    """

    service: str
    noun: str
    kind: str
    name_member: str
    arn_member: str
    status_member: str
    machine: StateMachine
    describe: Callable[[Row, list[dict[str, Any]]], dict[str, Any]]
    listing: ListSpec | None = None
    not_found: Callable[[str, str], CallerError] | None = None
    already_exists: Callable[[str, str], CallerError] | None = None
    event_source: str = "aws.sagemaker"
    event_detail_type: str = ""
    meter: Callable[[Row], dict[str, Any]] | None = None

    @cached_property
    def detail_type(self) -> str:
        """EventBridge's detail-type of this noun's events."""
        return self.event_detail_type or f"SageMaker {self.noun} State Change"

    def arn(self, account: str, region: str, name: str) -> str:
        """The ARN of one of these."""
        return arns.build(self.service, region, account, f"{self.kind}/{name}")

    def missing(self, name: str, arn: str) -> CallerError:
        """The error for a name that is not there."""
        return self.not_found(name, arn) if self.not_found else validation(f'Could not find {self.noun} "{arn}".')

    def existing(self, name: str, arn: str) -> CallerError:
        """The error for a name that is taken."""
        if self.already_exists:
            return self.already_exists(name, arn)
        return validation(f'Cannot create already existing {self.noun} "{arn}".')


def check(resource: Resource) -> None:
    """Refuse, at start, a declaration that names what botocore's model lacks. Raises Fault naming the member."""
    model = _service_model(resource.service)
    create = model.operation_model(f"Create{resource.noun}")
    describe = model.operation_model(f"Describe{resource.noun}")
    _need(resource, create.input_shape, resource.name_member)
    _need(resource, create.output_shape, resource.arn_member)
    _need(resource, describe.output_shape, resource.status_member)
    listing = resource.listing
    if listing is None:
        return
    operation = model.operation_model(listing.operation)
    _need(resource, operation.output_shape, listing.member)
    for member in listing.equals:
        _need(resource, operation.input_shape, member)
    if "SortBy" in operation.input_shape.members:
        unknown = set(listing.sort) - set(operation.input_shape.members["SortBy"].enum)
        if unknown:
            raise Fault(f"{resource.noun}: {listing.operation} cannot sort by {sorted(unknown)}")


@lru_cache
def _service_model(service: str) -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def _need(resource: Resource, shape: Any, member: str) -> None:
    if shape is None or member not in shape.members:
        raise Fault(f"{resource.noun}: botocore's {getattr(shape, 'name', 'shape')} has no member {member}")


def encode(body: Mapping[str, Any]) -> str:
    """A body as stored."""
    return json.dumps(body, separators=(",", ":"))
