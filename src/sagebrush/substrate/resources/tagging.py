"""SageMaker's AddTags, ListTags and DeleteTags, over every resource there is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.calls.call import Call, Handler
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources.resource import Row
from sagebrush.substrate.resources.rows import fetch_by_arn
from sagebrush.substrate.resources.tag_rows import check_tags, put_tags, remove_tags, tags_of

__all__ = ["TAG_OPERATIONS", "add_tags", "check_tags", "delete_tags", "list_tags", "tagged_resource", "tags_of"]


def add_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """AddTags: adds or overwrites; answers with all tags of the resource."""

    def put(tx: Connection) -> list[dict[str, str]]:
        return put_tags(tx, _target(tx, call, request).id, request["Tags"])

    return {"Tags": call.platform.store.write(put)}


def list_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """ListTags: a resource has at most 50 tags and a page at least 50, so there is only ever one page."""
    return {"Tags": call.platform.store.read(lambda conn: tags_of(conn, _target(conn, call, request).id))}


def delete_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """DeleteTags: keys that are not there are no error."""

    def remove(tx: Connection) -> None:
        remove_tags(tx, _target(tx, call, request).id, request["TagKeys"])

    call.platform.store.write(remove)
    return {}


def tagged_resource(call: Call, request: Any) -> list[str]:
    """For authorisation: the ARN that the three operations act on."""
    return [str(request["ResourceArn"])]


def _target(connection: Connection, call: Call, request: dict[str, Any]) -> Row:
    arn = request["ResourceArn"]
    row = fetch_by_arn(connection, arn)
    if row is None or row.account != call.account:
        raise validation(f"Could not find resource {arn}")
    return row


#: For the capability that serves SageMaker's cross-cutting operations.
TAG_OPERATIONS: dict[str, Handler] = {"AddTags": add_tags, "ListTags": list_tags, "DeleteTags": delete_tags}
