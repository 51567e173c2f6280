"""Who is in which group: a group's policies count for each of its users."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from sagebrush.substrate.identity import entities
from sagebrush.substrate.identity.entities import Entity
from sagebrush.substrate.identity.iam_errors import limit_exceeded, no_such_entity
from sagebrush.substrate.identity.tables import iam_group_members

#: IAM's quota of groups that one user may be in.
MAX_GROUPS = 10


def add_user(tx: Connection, group: Entity, user: Entity) -> None:
    """Put the user into the group; once more does nothing. Raises ``LimitExceeded``."""
    have = groups_of(tx, user)
    if group in have:
        return
    if len(have) >= MAX_GROUPS:
        raise limit_exceeded(f"Cannot exceed quota for GroupsPerUser: {MAX_GROUPS}")
    tx.execute(insert(iam_group_members).values(group_arn=group.arn, user_arn=user.arn))


def remove_user(tx: Connection, group: Entity, user: Entity) -> None:
    """Take the user out of the group. Raises ``NoSuchEntity`` when it was not in it."""
    if tx.execute(delete(iam_group_members).where(_membership(group, user))).rowcount == 0:
        raise no_such_entity(f"The user with name {user.name} is not in the group {group.name}.")


def users_of(connection: Connection, group: Entity) -> list[Entity]:
    """The group's users."""
    chosen = select(iam_group_members.c.user_arn).where(iam_group_members.c.group_arn == group.arn)
    return entities.of_arns(connection, chosen)


def groups_of(connection: Connection, user: Entity) -> list[Entity]:
    """The groups that the user is in."""
    chosen = select(iam_group_members.c.group_arn).where(iam_group_members.c.user_arn == user.arn)
    return entities.of_arns(connection, chosen)


def _membership(group: Entity, user: Entity) -> ColumnElement[bool]:
    return (iam_group_members.c.group_arn == group.arn) & (iam_group_members.c.user_arn == user.arn)
