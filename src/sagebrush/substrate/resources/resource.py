"""The declaration of a resource: everything the plain verbs need to know about a noun."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sagebrush.substrate import arns
from sagebrush.substrate.errors import CallerError, Fault, validation


class IllegalTransition(Fault):
    """A reconciler or operation asked for a step that the state machine does not have."""


@dataclass(frozen=True)
class StateMachine:
    """Pure: ``transitions`` maps (state, event) to the next state; ``terminal`` states have no background work.

    Where a capability's model has a function for it, ``transitions`` may be that function; it raises for what is
    illegal.
    """

    initial: str
    transitions: Mapping[tuple[str, str], str] | Callable[[str, str], str]
    terminal: frozenset[str]

    def next(self, state: str, event: str) -> str:
        """The state after ``event``. Raises IllegalTransition."""
        try:
            if callable(self.transitions):
                return str(self.transitions(state, event))
            return self.transitions[state, event]
        except (KeyError, ValueError):
            raise IllegalTransition(f"no event {event!r} in state {state!r}") from None


#: Of a noun that has no states: it exists or it does not.
STATELESS = StateMachine(initial="", transitions={}, terminal=frozenset({""}))


@dataclass(frozen=True, slots=True)
class Row:
    """One resource as stored. ``body`` is the resource's own document; ``wakes`` counts who called the loop."""

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
    parent: str = ""
    wakes: int = 0


#: A history entry: status, secondary, message, started_us, ended_us (None while open).
Transition = Mapping[str, Any]


@dataclass(frozen=True)
class ListSpec:
    """How the List operation reads the rows.

    ``member`` is the output's list (``TrainingJobSummaries``), ``summary`` makes one entry of it. ``equals`` maps input
    members to what they are compared with: a column (``{"StatusEquals": "status"}``) or a member of the body
    (``{"ModelCardNameEquals": "body.ModelCardName"}``); ``sort`` maps SortBy's values the same way. The filters on
    name, creation and modification time need no mention. The defaults of sort, order and limit are those that the
    operation's documentation gives.
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
    row's name and ARN. ``describe`` renders a row and its history as the Describe output: it is also the detail of its
    events, and without it there are none. ``meter`` gives the attributes of what is being used at a row's state, None
    where nothing is; it is asked at every transition. ``status_member`` is empty where the noun has no states.
    ``arn_path`` makes the last part of the ARN from name and parent where it is not ``<kind>/[<parent>/]<name>``.
    ``create``, ``describe_operation`` and ``delete`` name the operations where they are not verb + noun; None means
    that there is no such operation. Most nouns cannot be updated, so ``update`` has to be named. ``emits`` is False for
    nouns of whose changes EventBridge hears nothing.
    """

    service: str
    noun: str
    kind: str
    name_member: str
    arn_member: str
    status_member: str = ""
    machine: StateMachine = STATELESS
    describe: Callable[[Row, Sequence[Transition]], dict[str, Any]] | None = None
    listing: ListSpec | None = None
    not_found: Callable[[str, str], CallerError] | None = None
    already_exists: Callable[[str, str], CallerError] | None = None
    event_source: str = "aws.sagemaker"
    event_detail_type: str = ""
    meter: Callable[[Row], Mapping[str, Any] | None] | None = None
    arn_path: Callable[[str, str], str] | None = None
    create: str | None = ""
    describe_operation: str | None = ""
    delete: str | None = ""
    update: str | None = None
    emits: bool = True

    @property
    def detail_type(self) -> str:
        """EventBridge's detail-type of this noun's events."""
        return self.event_detail_type or f"SageMaker {self.noun} State Change"

    def operation(self, verb: str) -> str | None:
        """The API's operation for ``Create``, ``Describe`` or ``Delete``; None where it has none."""
        given = {"Create": self.create, "Describe": self.describe_operation, "Delete": self.delete}[verb]
        return verb + self.noun if given == "" else given

    def arn(self, account: str, region: str, name: str, parent: str = "") -> str:
        """The ARN of one of these."""
        path = self.arn_path(name, parent) if self.arn_path else "/".join(filter(None, (self.kind, parent, name)))
        return arns.build(self.service, region, account, path)

    def missing(self, name: str, arn: str) -> CallerError:
        """The error for a name that is not there."""
        return self.not_found(name, arn) if self.not_found else validation(f'Could not find {self.noun} "{arn}".')

    def existing(self, name: str, arn: str) -> CallerError:
        """The error for a name that is taken."""
        if self.already_exists:
            return self.already_exists(name, arn)
        return validation(f'Cannot create already existing {self.noun} "{arn}".')
