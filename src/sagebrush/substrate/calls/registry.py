"""Which function answers which operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sagebrush.substrate.calls.call import Handler
from sagebrush.substrate.calls.capability import Capability, ResourceArns, Service, any_resource
from sagebrush.substrate.errors import CallerError


@dataclass(frozen=True, slots=True)
class Operation:
    """One served operation with what authorising it needs."""

    service: Service
    name: str
    handler: Handler
    action: str
    resource_arns: ResourceArns


class Registry:
    """Every operation of every capability; built once at start, then only read."""

    def __init__(self, capabilities: Iterable[Capability]):
        self.capabilities = tuple(capabilities)
        self._operations: dict[tuple[str, str], Operation] = {}
        for capability in self.capabilities:
            for service in capability.services:
                for name, handler in service.operations.items():
                    self._add(service, name, handler)

    def _add(self, service: Service, name: str, handler: Handler) -> None:
        key = (service.name, name)
        if key in self._operations:
            raise ValueError(f"two capabilities serve {service.name}.{name}")
        self._operations[key] = Operation(
            service=service,
            name=name,
            handler=handler,
            action=service.actions.get(name, f"{service.iam_prefix}:{name}"),
            resource_arns=service.resource_arns.get(name, any_resource),
        )

    def find(self, service: str, name: str) -> Operation:
        """The operation, or CallerError ``UnknownOperationException`` (501) in the words a client can act on."""
        try:
            return self._operations[service, name]
        except KeyError:
            raise CallerError(
                "UnknownOperationException",
                f"Sagebrush does not implement {service}:{name} yet; docs/coverage.md lists what it does.",
                status=501,
            ) from None

    def served(self) -> Mapping[tuple[str, str], Operation]:
        """All served operations by (service, name)."""
        return self._operations
