"""What hangs on a role, user or group: inline policies and attached managed policies."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from sagebrush.substrate.identity import groups, managed
from sagebrush.substrate.identity.aws_managed import ARN_PREFIX
from sagebrush.substrate.identity.entities import USER, Entity
from sagebrush.substrate.identity.iam_errors import limit_exceeded, no_such, no_such_entity
from sagebrush.substrate.identity.policy import Source
from sagebrush.substrate.identity.tables import iam_attachments, iam_inline_policies

MAX_ATTACHED = 10


def put_inline(tx: Connection, entity: Entity, name: str, document: str) -> None:
    """Add or replace an inline policy."""
    replaced = update(iam_inline_policies).where(_inline(entity, name)).values(document=document)
    if tx.execute(replaced).rowcount == 0:
        tx.execute(insert(iam_inline_policies).values(entity_arn=entity.arn, name=name, document=document))


def inline(connection: Connection, entity: Entity, name: str) -> str:
    """An inline policy's document. Raises ``NoSuchEntity``."""
    document = connection.execute(select(iam_inline_policies.c.document).where(_inline(entity, name))).scalar()
    if document is None:
        raise no_such(f"{entity.kind} policy", name)
    return str(document)


def all_inline(connection: Connection, entity: Entity) -> dict[str, str]:
    """Inline policies by name, in order."""
    chosen = select(iam_inline_policies.c.name, iam_inline_policies.c.document)
    chosen = chosen.where(iam_inline_policies.c.entity_arn == entity.arn).order_by(iam_inline_policies.c.name)
    return {row.name: row.document for row in connection.execute(chosen)}


def delete_inline(tx: Connection, entity: Entity, name: str) -> None:
    """Delete an inline policy. Raises ``NoSuchEntity``."""
    if tx.execute(delete(iam_inline_policies).where(_inline(entity, name))).rowcount == 0:
        raise no_such(f"{entity.kind} policy", name)


def attach(tx: Connection, entity: Entity, policy_arn: str) -> None:
    """Attach a managed policy; once more does nothing. Raises ``NoSuchEntity``, ``LimitExceeded``."""
    if managed.document_of(tx, policy_arn) is None:
        raise no_such_entity(f"Policy {policy_arn} does not exist or is not attachable.")
    have = attached(tx, entity)
    if policy_arn in have:
        return
    if len(have) >= MAX_ATTACHED:
        raise limit_exceeded(f"Cannot exceed quota for PoliciesPer{entity.kind.capitalize()}: {MAX_ATTACHED}")
    tx.execute(insert(iam_attachments).values(entity_arn=entity.arn, policy_arn=policy_arn))


def detach(tx: Connection, entity: Entity, policy_arn: str) -> None:
    """Detach a managed policy. Raises ``NoSuchEntity`` when it was not attached."""
    gone = delete(iam_attachments).where(
        iam_attachments.c.entity_arn == entity.arn, iam_attachments.c.policy_arn == policy_arn
    )
    if tx.execute(gone).rowcount == 0:
        raise no_such_entity(f"Policy {policy_arn} was not found.")


def attached(connection: Connection, entity: Entity) -> list[str]:
    """ARNs of the attached managed policies, ordered."""
    chosen = select(iam_attachments.c.policy_arn).where(iam_attachments.c.entity_arn == entity.arn)
    return [row.policy_arn for row in connection.execute(chosen.order_by(iam_attachments.c.policy_arn))]


def documents(connection: Connection, entity: Entity) -> list[tuple[Source, str]]:
    """Every identity-based policy that counts for the entity, as text, with what a simulation calls it.

    For a user, those of its groups as well.
    """
    found = _own_documents(connection, entity)
    if entity.kind == USER:
        for group in groups.groups_of(connection, entity):
            found += _own_documents(connection, group)
    return found


def _own_documents(connection: Connection, entity: Entity) -> list[tuple[Source, str]]:
    found = [
        (Source(name, entity.kind, owner=entity.arn), document)
        for name, document in all_inline(connection, entity).items()
    ]
    for arn in attached(connection, entity):
        document = managed.document_of(connection, arn)
        if document is not None:
            found.append((source_of(arn), document))
    return found


def source_of(policy_arn: str) -> Source:
    """What a simulation calls a managed policy."""
    kind = "aws-managed" if policy_arn.startswith(ARN_PREFIX) else "user-managed"
    return Source(policy_arn.rsplit("/", 1)[-1], kind, arn=policy_arn)


def _inline(entity: Entity, name: str) -> ColumnElement[bool]:
    return (iam_inline_policies.c.entity_arn == entity.arn) & (iam_inline_policies.c.name == name)
