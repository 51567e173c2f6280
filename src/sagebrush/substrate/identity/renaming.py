"""Users and groups under another name or path: their ARN changes, and everything that hangs on it moves along.

AWS: id_users_rename.html. The unique id stays, so trust policies that name a user go on naming it. Policies that
name it as a *resource* are text, and stay as they are: IAM does not change those either.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select, update

from sagebrush.substrate.identity import entities
from sagebrush.substrate.identity.entities import Entity
from sagebrush.substrate.identity.tables import (
    iam_access_keys,
    iam_attachments,
    iam_entities,
    iam_group_members,
    iam_inline_policies,
)

#: Every column that holds the ARN of a user or group.
_REFERENCES = (
    iam_inline_policies.c.entity_arn,
    iam_attachments.c.entity_arn,
    iam_access_keys.c.user_arn,
    iam_group_members.c.user_arn,
    iam_group_members.c.group_arn,
)


def renamed(entity: Entity, name: str | None, path: str | None) -> Entity:
    """The entity as it will be."""
    name, path = name or entity.name, path or entity.path
    arn = f"arn:aws:iam::{entity.account}:{entity.kind}{path}{name}"
    return replace(entity, arn=arn, name=name, path=path)


def rename(tx: Connection, entity: Entity, name: str | None, path: str | None) -> None:
    """Give it the new name and path; what is None stays. Raises ``EntityAlreadyExists``."""
    after = renamed(entity, name, path)
    if after.name.lower() != entity.name.lower():
        entities.require_free(tx, after)
    entities.change(tx, entity, arn=after.arn, name=after.name, name_key=after.name.lower(), path=after.path)
    if after.arn == entity.arn:
        return
    for column in _REFERENCES:
        tx.execute(update(column.table).where(column == entity.arn).values({column.name: after.arn}))
    _rename_in_trust_policies(tx, f'"{entity.arn}"', f'"{after.arn}"')


def _rename_in_trust_policies(tx: Connection, before: str, after: str) -> None:
    trusting = select(iam_entities.c.arn, iam_entities.c.trust_policy).where(
        iam_entities.c.trust_policy.contains(before, autoescape=True)
    )
    for row in tx.execute(trusting).all():
        changed = update(iam_entities).where(iam_entities.c.arn == row.arn)
        tx.execute(changed.values(trust_policy=row.trust_policy.replace(before, after)))
