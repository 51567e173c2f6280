"""A declaration checked against botocore's service model: it names nothing that does not exist.

The architecture tests check every declared noun; at start it would only cost time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.resources.resource import ListSpec, Resource


def check(resource: Resource) -> None:
    """Refuse a declaration that names what botocore's model lacks. Raises Fault naming the member."""
    model = _service_model(resource.service)
    if (create := _operation(resource, model, resource.operation("Create"))) is not None:
        _need(resource, create.input_shape, resource.name_member)
        _need(resource, create.output_shape, resource.arn_member)
    if (describe := _operation(resource, model, resource.operation("Describe"))) is not None:
        _need(resource, describe.input_shape, resource.name_member)
        _need(resource, describe.output_shape, resource.arn_member)
        if resource.status_member:
            _need(resource, describe.output_shape, resource.status_member)
            _check_states(resource, describe.output_shape.members[resource.status_member])
    _operation(resource, model, resource.operation("Delete"))
    if (update := _operation(resource, model, resource.update)) is not None:
        _need(resource, update.input_shape, resource.name_member)
    if resource.listing is not None:
        _check_listing(resource, model, resource.listing)


def _check_states(resource: Resource, shape: Any) -> None:
    machine = resource.machine
    states = {machine.initial} | machine.terminal
    if not callable(machine.transitions):
        states |= {state for state, _ in machine.transitions} | set(machine.transitions.values())
    if shape.enum and (unknown := states - set(shape.enum)):
        raise Fault(f"{resource.noun}: {sorted(unknown)} is no {resource.status_member}")


def _check_listing(resource: Resource, model: Any, listing: ListSpec) -> None:
    operation = _operation(resource, model, listing.operation)
    _need(resource, operation.output_shape, listing.member)
    for member in listing.equals:
        _need(resource, operation.input_shape, member)
    if "SortBy" in operation.input_shape.members:
        unknown = set(listing.sort) - set(operation.input_shape.members["SortBy"].enum)
        if unknown:
            raise Fault(f"{resource.noun}: {listing.operation} cannot sort by {sorted(unknown)}")
    if listing.default_order not in {"Ascending", "Descending"}:
        raise Fault(f"{resource.noun}: {listing.default_order!r} is no order")


@lru_cache
def _service_model(service: str) -> Any:
    from botocore.loaders import create_loader
    from botocore.model import ServiceModel

    return ServiceModel(create_loader().load_service_model(service, "service-2"), service)


def _operation(resource: Resource, model: Any, name: str | None) -> Any:
    if name is None:
        return None
    if name not in model.operation_names:
        raise Fault(f"{resource.noun}: {resource.service} has no operation {name}")
    return model.operation_model(name)


def _need(resource: Resource, shape: Any, member: str) -> None:
    if shape is None or member not in shape.members:
        raise Fault(f"{resource.noun}: botocore's {getattr(shape, 'name', 'shape')} has no member {member}")
