"""EndpointStatus (source: "DescribeEndpoint", SageMaker API Reference), those that Sagebrush uses::

Creating -> InService | Failed          InService -> Updating -> InService
InService, Failed -> Deleting -> gone   InService, Updating -> Failed
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """EndpointStatus."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    DELETING = "Deleting"
    FAILED = "Failed"


class Event(StrEnum):
    """What can happen to an endpoint."""

    SERVE = "serve"
    UPDATE = "update"
    FAIL = "fail"
    DELETE = "delete"


TRANSITIONS: dict[tuple[str, str], str] = {
    (Status.CREATING, Event.SERVE): Status.IN_SERVICE,
    (Status.CREATING, Event.FAIL): Status.FAILED,
    (Status.IN_SERVICE, Event.UPDATE): Status.UPDATING,
    (Status.IN_SERVICE, Event.FAIL): Status.FAILED,
    (Status.IN_SERVICE, Event.DELETE): Status.DELETING,
    (Status.UPDATING, Event.SERVE): Status.IN_SERVICE,
    (Status.UPDATING, Event.FAIL): Status.FAILED,
    (Status.FAILED, Event.DELETE): Status.DELETING,
}
#: Nothing can be asked of an endpoint that is on its way from one state to another.
IN_PROGRESS = frozenset({Status.CREATING, Status.UPDATING, Status.DELETING})
