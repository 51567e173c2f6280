"""Create, Update and Delete of actions and contexts, which are known by their names."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.lineage.operations import recording
from sagebrush.substrate.calls import Call, Handler
from sagebrush.substrate.resources import Resource, Row, fetch, insert


def named_operations(noun: Resource) -> dict[str, Handler]:
    """Their handlers, by operation name. Create and Update answer with the ARN, and Delete does, too."""

    def create(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        body = recording.body_of(call, request, without=noun.name_member)
        name, tags = request[noun.name_member], request.get("Tags", ())
        row = call.platform.store.write(lambda tx: insert(tx, noun, call=call, name=name, body=body, tags=tags))
        return {noun.arn_member: row.arn}

    def named(tx: Connection, call: Call, request: dict[str, Any]) -> Row:
        return fetch(tx, noun, call.account, call.region, request[noun.name_member])

    def update(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        row = call.platform.store.write(lambda tx: recording.change(tx, call, named(tx, call, request), request))
        return {noun.arn_member: row.arn}

    def delete(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        arn = call.platform.store.write(lambda tx: recording.take_away(tx, call, named(tx, call, request)))
        return {noun.arn_member: arn}

    return {f"Create{noun.noun}": create, f"Update{noun.noun}": update, f"Delete{noun.noun}": delete}
