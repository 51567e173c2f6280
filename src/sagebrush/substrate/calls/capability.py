"""What a capability exports: its services, operations, resources and reconcilers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagebrush.substrate.calls.call import Call, Handler

if TYPE_CHECKING:
    from sagebrush.substrate.identity.context import ContextValue
    from sagebrush.substrate.identity.job_credentials import Claims
    from sagebrush.substrate.platform import Platform
    from sagebrush.substrate.reconcile import Reconciler
    from sagebrush.substrate.resources import Resource

#: (call, request) -> the ARNs the call acts on; policies are evaluated against each.
ResourceArns = Callable[[Call, Mapping[str, Any]], list[str]]

#: (call, request) -> condition keys of the service's own that the request answers; asked only when a policy asks.
RequestKeys = Callable[[Call, Mapping[str, Any]], Mapping[str, "ContextValue"]]


def no_keys(call: Call, request: Mapping[str, Any]) -> Mapping[str, ContextValue]:
    """For services without condition keys of their own."""
    return {}


def any_resource(call: Call, request: Mapping[str, Any]) -> list[str]:
    """For operations that act on no particular resource."""
    return ["*"]


@dataclass(frozen=True, slots=True)
class Service:
    """The part of one AWS service that a capability serves.

    ``operations`` maps the API's operation names to functions. ``actions`` names the IAM action where it is not
    ``<prefix>:<Operation>`` (S3's HeadObject is ``s3:GetObject``); ``resource_arns`` the resources where not ``*``.
    ``open_operations`` need no permission (GetCallerIdentity). ``condition_keys`` are the service's own beside tags;
    SageMaker's need no mention, they come from ``condition_keys.py``.
    """

    name: str
    iam_prefix: str
    operations: Mapping[str, Handler]
    actions: Mapping[str, str] = field(default_factory=dict)
    resource_arns: Mapping[str, ResourceArns] = field(default_factory=dict)
    open_operations: frozenset[str] = frozenset()
    condition_keys: RequestKeys = no_keys


@dataclass(frozen=True, slots=True)
class Capability:
    """A capability, whole; each capability package exports one as ``CAPABILITY``.

    ``runs`` says, for each kind of resource that runs user code, whether the attempt of a token is still live.
    """

    name: str
    services: tuple[Service, ...]
    resources: tuple[Resource, ...] = ()
    reconcilers: tuple[Reconciler, ...] = ()
    runs: Mapping[str, Callable[[Platform, Claims], bool]] = field(default_factory=dict)
