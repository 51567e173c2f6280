"""Tags of any resource, and SageMaker's three operations on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from sagebrush.substrate.calls.call import Call
from sagebrush.substrate.errors import CallerError, validation
from sagebrush.substrate.resources.resource import Row
from sagebrush.substrate.resources.rows import fetch_by_arn
from sagebrush.substrate.resources.tables import tags

LIMIT = 50


def check_tags(pairs: Sequence[Mapping[str, str]]) -> None:
    """The rules every tagging operation shares. Raises ValidationException."""
    keys = [pair["Key"] for pair in pairs]
    if len(keys) != len(set(keys)):
        raise validation("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if reserved := [key for key in keys if key.lower().startswith("aws:")]:
        raise validation(f"Tag keys may not begin with 'aws:': {', '.join(reserved)}")
    if len(keys) > LIMIT:
        raise validation(f"A resource can have at most {LIMIT} tags.")


def tags_of(connection: Connection, resource_id: str) -> list[dict[str, str]]:
    """All tags, by key."""
    rows = connection.execute(
        select(tags.c.key, tags.c.value).where(tags.c.resource_id == resource_id).order_by(tags.c.key)
    )
    return [{"Key": key, "Value": value} for key, value in rows]


def _target(connection: Connection, arn: str) -> Row:
    row = fetch_by_arn(connection, arn)
    if row is None:
        raise CallerError("ValidationException", f"The resource {arn} does not exist.")
    return row


def add_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """AddTags: adds or overwrites; answers with all tags of the resource."""
    wanted = {pair["Key"]: pair["Value"] for pair in request["Tags"]}
    check_tags(request["Tags"])

    def put(tx: Connection) -> list[dict[str, str]]:
        row = _target(tx, request["ResourceArn"])
        have = {pair["Key"]: pair["Value"] for pair in tags_of(tx, row.id)}
        if len(have | wanted) > LIMIT:
            raise validation(f"A resource can have at most {LIMIT} tags.")
        tx.execute(delete(tags).where(tags.c.resource_id == row.id, tags.c.key.in_(wanted)))
        tx.execute(insert(tags), [{"resource_id": row.id, "key": k, "value": v} for k, v in wanted.items()])
        return tags_of(tx, row.id)

    return {"Tags": call.platform.store.write(put)}


def list_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """ListTags: a resource has at most 50 tags, so there is only ever one page."""
    return {"Tags": call.platform.store.read(lambda c: tags_of(c, _target(c, request["ResourceArn"]).id))}


def delete_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """DeleteTags: keys that are not there are no error."""

    def remove(tx: Connection) -> None:
        row = _target(tx, request["ResourceArn"])
        tx.execute(delete(tags).where(tags.c.resource_id == row.id, tags.c.key.in_(request["TagKeys"])))

    call.platform.store.write(remove)
    return {}


#: For the capability that serves SageMaker's cross-cutting operations.
TAG_OPERATIONS = {"AddTags": add_tags, "ListTags": list_tags, "DeleteTags": delete_tags}
