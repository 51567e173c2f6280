"""The plain verbs of a declared resource: Create echoes into Describe, Delete removes, List pages.

A capability takes these for nouns without behaviour and writes its own function for the rest.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.calls.call import Call, Handler
from sagebrush.substrate.resources.changing import insert, soft_delete
from sagebrush.substrate.resources.history import transitions_of
from sagebrush.substrate.resources.listing import page
from sagebrush.substrate.resources.resource import Resource
from sagebrush.substrate.resources.rows import fetch


def plain_operations(resource: Resource) -> dict[str, Handler]:
    """The handlers of every verb that the declaration has, by operation name."""
    operations: dict[str, Handler] = {}
    if name := resource.operation("Create"):
        operations[name] = lambda call, request: create(call, resource, request)
    if name := resource.operation("Delete"):
        operations[name] = lambda call, request: delete(call, resource, request)
    if (name := resource.operation("Describe")) and resource.describe is not None:
        operations[name] = lambda call, request: describe(call, resource, request)
    if resource.listing is not None:
        operations[resource.listing.operation] = lambda call, request: call.platform.store.read(
            lambda connection: page(connection, resource, call, request)
        )
    return operations


def create(call: Call, resource: Resource, request: dict[str, Any]) -> dict[str, Any]:
    """Store the request as the body, its tags as tags."""
    name = request[resource.name_member]
    body = {member: value for member, value in request.items() if member not in {resource.name_member, "Tags"}}
    tags = request.get("Tags", ())
    row = call.platform.store.write(lambda tx: insert(tx, resource, call=call, name=name, body=body, tags=tags))
    return {resource.arn_member: row.arn}


def describe(call: Call, resource: Resource, request: dict[str, Any]) -> dict[str, Any]:
    """The declaration's ``describe`` of the named row."""
    render = resource.describe
    assert render is not None

    def look(connection: Connection) -> dict[str, Any]:
        row = fetch(connection, resource, call.account, call.region, request[resource.name_member])
        return render(row, transitions_of(connection, row.id))

    return call.platform.store.read(look)


def delete(call: Call, resource: Resource, request: dict[str, Any]) -> dict[str, Any]:
    """Remove the named row."""

    def remove(tx: Connection) -> None:
        row = fetch(tx, resource, call.account, call.region, request[resource.name_member])
        soft_delete(tx, row, now_us=call.platform.clock.now_us())

    call.platform.store.write(remove)
    return {}
