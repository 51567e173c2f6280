"""Tags as rows, and the rules every way of tagging shares.

Rules: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html (lengths and characters
are in the operations' shapes and checked with the request).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources.tables import resources, tags

LIMIT = 50
_OF = select(tags.c.key, tags.c.value).where(tags.c.resource_id == bindparam("of")).order_by(tags.c.key)
_OF_ARN = (
    select(tags.c.key, tags.c.value)
    .select_from(tags.join(resources, tags.c.resource_id == resources.c.id))
    .where(resources.c.arn == bindparam("arn"), resources.c.deleted_us.is_(None))
)
_INSERT = insert(tags)


def check_tags(pairs: Sequence[Mapping[str, str]]) -> None:
    """Raises ValidationException for a key given twice, or one that AWS keeps for itself."""
    keys = [pair["Key"] for pair in pairs]
    if len(keys) != len(set(keys)):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise validation(f"Duplicate tag keys found: {', '.join(twice)}")
    if reserved := [key for key in keys if key.lower().startswith("aws:")]:
        raise validation(f"Tag keys cannot start with 'aws:', which is reserved: {', '.join(reserved)}")


def tags_of(connection: Connection, resource_id: str) -> list[dict[str, str]]:
    """All tags as ``{"Key": ..., "Value": ...}``, by key."""
    return [{"Key": key, "Value": value} for key, value in connection.execute(_OF, {"of": resource_id})]


def tags_of_arn(connection: Connection, arn: str) -> dict[str, str]:
    """The tags of the living resource with this ARN; none where there is no such resource."""
    return {row.key: row.value for row in connection.execute(_OF_ARN, {"arn": arn})}


def put_tags(tx: Connection, resource_id: str, pairs: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Add or overwrite; all tags then. Raises ValidationException, also where there would be more than 50."""
    check_tags(pairs)
    wanted = {pair["Key"]: pair.get("Value", "") for pair in pairs}
    have = {pair["Key"]: pair["Value"] for pair in tags_of(tx, resource_id)}
    if len(have | wanted) > LIMIT:
        raise validation(f"A resource can have at most {LIMIT} tags; this one would have {len(have | wanted)}")
    remove_tags(tx, resource_id, wanted)
    if wanted:
        tx.execute(_INSERT, [{"resource_id": resource_id, "key": k, "value": v} for k, v in wanted.items()])
    return tags_of(tx, resource_id)


def remove_tags(tx: Connection, resource_id: str, keys: Iterable[str]) -> None:
    """Remove; a key that is not there is no error."""
    tx.execute(delete(tags).where(tags.c.resource_id == resource_id, tags.c.key.in_(list(keys))))
