"""The plain verbs of a declared resource: Create echoes into Describe, Update replaces members, Delete removes, List
pages.

A capability takes these for nouns without behaviour and writes its own function for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from sagebrush.substrate.calls.call import Call, Handler
from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.resources.changing import insert, soft_delete, update_body
from sagebrush.substrate.resources.history import transitions_of
from sagebrush.substrate.resources.listing import page
from sagebrush.substrate.resources.resource import Resource, Row
from sagebrush.substrate.resources.rows import fetch

if TYPE_CHECKING:
    from sagebrush.substrate.calls.capability import ResourceArns


def plain_operations(resource: Resource) -> dict[str, Handler]:
    """The handlers of every verb that the declaration has, by operation name."""
    operations: dict[str, Handler] = {}
    if name := resource.operation("Create"):
        operations[name] = lambda call, request: create(call, resource, request)
    if name := resource.update:
        operations[name] = lambda call, request: update(call, resource, request)
    if name := resource.operation("Delete"):
        operations[name] = lambda call, request: delete(call, resource, request)
    if (name := resource.operation("Describe")) and resource.describe is not None:
        operations[name] = lambda call, request: describe(call, resource, request)
    if resource.listing is not None:
        operations[resource.listing.operation] = lambda call, request: call.platform.store.read(
            lambda connection: page(connection, resource, call, request)
        )
    return operations


def plain_resource_arns(resource: Resource) -> dict[str, ResourceArns]:
    """What policies are asked about by the verbs that name one of these: its ARN."""

    def named(call: Call, request: Mapping[str, Any]) -> list[str]:
        return [resource.arn(call.account, call.region, request[resource.name_member])]

    verbs = (*(resource.operation(verb) for verb in ("Create", "Describe", "Delete")), resource.update)
    return {name: named for name in verbs if name}


def echo(name_member: str, arn_member: str, *, without: Sequence[str] = ()) -> Callable[[Row], dict[str, Any]]:
    """A rendering for nouns that are their record: name, ARN, both times, and what Create and Update gave, but for
    ``without``. ``summary`` of a list as it is; see :func:`described` for Describe."""

    def render(row: Row) -> dict[str, Any]:
        given = {member: value for member, value in row.body.items() if member not in without}
        return given | {
            name_member: row.name,
            arn_member: row.arn,
            "CreationTime": to_datetime(row.created_us),
            "LastModifiedTime": to_datetime(row.modified_us),
        }

    return render


def described(name_member: str, arn_member: str) -> Callable[[Row, Sequence[Mapping[str, Any]]], dict[str, Any]]:
    """As :func:`echo`, for a declaration's ``describe``."""
    render = echo(name_member, arn_member)
    return lambda row, history: render(row)


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


def update(call: Call, resource: Resource, request: dict[str, Any]) -> dict[str, Any]:
    """Replace the members that are given; answers with the ARN where the operation's output has one."""
    changes = {member: value for member, value in request.items() if member != resource.name_member}

    def change(tx: Connection) -> Row:
        row = fetch(tx, resource, call.account, call.region, request[resource.name_member])
        return update_body(tx, row, changes, now_us=call.platform.clock.now_us())

    return {resource.arn_member: call.platform.store.write(change).arn}


def delete(call: Call, resource: Resource, request: dict[str, Any]) -> dict[str, Any]:
    """Remove the named row."""

    def remove(tx: Connection) -> None:
        row = fetch(tx, resource, call.account, call.region, request[resource.name_member])
        soft_delete(tx, row, now_us=call.platform.clock.now_us())

    call.platform.store.write(remove)
    return {}
