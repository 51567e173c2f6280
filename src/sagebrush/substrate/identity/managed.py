"""Managed policies: the account's own, with their versions, beside AWS's (``aws_managed.py``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from sagebrush.substrate.identity import entities
from sagebrush.substrate.identity.access_key_ids import new_unique_id
from sagebrush.substrate.identity.aws_managed import AwsManagedPolicy, aws_managed_policies
from sagebrush.substrate.identity.entities import Entity
from sagebrush.substrate.identity.iam_errors import (
    already_exists,
    delete_conflict,
    limit_exceeded,
    no_such_entity,
)
from sagebrush.substrate.identity.tables import iam_attachments, iam_entities, iam_policies, iam_policy_versions

MAX_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy. AWS's have the account ``aws`` and version 1 only."""

    arn: str
    account: str
    name: str
    unique_id: str
    path: str
    default_version: int
    created_us: int
    updated_us: int
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_aws(self) -> bool:
        """Whether it is package data, which nobody can change."""
        return self.account == "aws"


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a managed policy."""

    number: int
    document: str
    created_us: int


def new_policy(account: str, name: str, path: str, now_us: int, **members: Any) -> ManagedPolicy:
    """A policy that does not exist yet."""
    return ManagedPolicy(
        arn=f"arn:aws:iam::{account}:policy{path}{name}",
        account=account,
        name=name,
        unique_id=new_unique_id("ANPA"),
        path=path,
        default_version=1,
        created_us=now_us,
        updated_us=now_us,
        **members,
    )


def add(tx: Connection, policy: ManagedPolicy, document: str) -> None:
    """Insert it with version 1. Raises ``EntityAlreadyExists``."""
    taken = select(iam_policies.c.arn).where(
        iam_policies.c.account == policy.account, iam_policies.c.name_key == policy.name.lower()
    )
    if tx.execute(taken).first() is not None:
        raise already_exists(f"A policy called {policy.name} already exists. Duplicate names are not allowed.")
    tx.execute(
        insert(iam_policies).values(
            arn=policy.arn,
            account=policy.account,
            name=policy.name,
            name_key=policy.name.lower(),
            unique_id=policy.unique_id,
            path=policy.path,
            description=policy.description,
            default_version=1,
            newest_version=1,
            created_us=policy.created_us,
            updated_us=policy.updated_us,
            tags=json.dumps(dict(policy.tags)),
        )
    )
    _add_version(tx, policy.arn, 1, document, policy.created_us)


def find(connection: Connection, arn: str) -> ManagedPolicy:
    """The policy, AWS's or the account's own. Raises ``NoSuchEntity``."""
    if arn in aws_managed_policies():
        return _of_aws(aws_managed_policies()[arn])
    row = connection.execute(select(iam_policies).where(iam_policies.c.arn == arn)).first()
    if row is None:
        raise no_such_entity(f"Policy {arn} was not found.")
    return _policy(row)


def document_of(connection: Connection, arn: str) -> str | None:
    """The default version's document; None when there is no such policy."""
    if arn in aws_managed_policies():
        return aws_managed_policies()[arn].document
    joined = iam_policies.join(iam_policy_versions, iam_policies.c.arn == iam_policy_versions.c.policy_arn)
    return connection.execute(
        select(iam_policy_versions.c.document)
        .select_from(joined)
        .where(iam_policies.c.arn == arn, iam_policy_versions.c.version == iam_policies.c.default_version)
    ).scalar()


def tags_of(connection: Connection, arn: str) -> Mapping[str, str]:
    """The tags of one of the account's own policies; none for anything else."""
    tags = connection.execute(select(iam_policies.c.tags).where(iam_policies.c.arn == arn)).scalar()
    return {} if tags is None else json.loads(tags)


def own(connection: Connection, account: str) -> list[ManagedPolicy]:
    """The account's own policies by ARN."""
    chosen = select(iam_policies).where(iam_policies.c.account == account).order_by(iam_policies.c.arn)
    return [_policy(row) for row in connection.execute(chosen)]


def of_aws() -> list[ManagedPolicy]:
    """AWS's policies by ARN."""
    return [_of_aws(policy) for policy in aws_managed_policies().values()]


def attachment_counts(connection: Connection) -> dict[str, int]:
    """To how many entities each policy is attached."""
    column = iam_attachments.c.policy_arn
    counted = select(column, func.count().label("uses")).group_by(column)
    return {row.policy_arn: row.uses for row in connection.execute(counted)}


def boundary_counts(connection: Connection) -> dict[str, int]:
    """For how many entities each policy is the permissions boundary."""
    column = iam_entities.c.boundary_arn
    counted = select(column, func.count().label("uses")).where(column.is_not(None)).group_by(column)
    return {row.boundary_arn: row.uses for row in connection.execute(counted)}


def attached_to(connection: Connection, arn: str) -> list[Entity]:
    """Roles, users and groups that the policy is attached to."""
    return entities.of_arns(connection, select(iam_attachments.c.entity_arn).where(iam_attachments.c.policy_arn == arn))


def bounded_by(connection: Connection, arn: str) -> list[Entity]:
    """Roles and users whose permissions boundary it is."""
    return entities.of_arns(connection, select(iam_entities.c.arn).where(iam_entities.c.boundary_arn == arn))


def versions(connection: Connection, policy: ManagedPolicy) -> list[PolicyVersion]:
    """All versions, newest first."""
    if policy.of_aws:
        return [PolicyVersion(1, aws_managed_policies()[policy.arn].document, policy.created_us)]
    chosen = select(iam_policy_versions).where(iam_policy_versions.c.policy_arn == policy.arn)
    rows = connection.execute(chosen.order_by(iam_policy_versions.c.version.desc()))
    return [PolicyVersion(row.version, row.document, row.created_us) for row in rows]


def add_version(tx: Connection, policy: ManagedPolicy, document: str, now_us: int, *, default: bool) -> PolicyVersion:
    """Add a version. Raises ``LimitExceeded`` beyond :data:`MAX_VERSIONS`."""
    if len(versions(tx, policy)) >= MAX_VERSIONS:
        raise limit_exceeded(
            f"A managed policy can have up to {MAX_VERSIONS} versions. Before you create a new version, you must "
            "delete an existing version."
        )
    newest = tx.execute(select(iam_policies.c.newest_version).where(iam_policies.c.arn == policy.arn)).scalar_one()
    version = PolicyVersion(newest + 1, document, now_us)
    _add_version(tx, policy.arn, version.number, document, now_us)
    changes: dict[str, int] = {"newest_version": version.number, "updated_us": now_us}
    if default:
        changes["default_version"] = version.number
    tx.execute(update(iam_policies).where(iam_policies.c.arn == policy.arn).values(**changes))
    return version


def set_default_version(tx: Connection, policy: ManagedPolicy, number: int) -> None:
    """Make an existing version the one that counts."""
    tx.execute(update(iam_policies).where(iam_policies.c.arn == policy.arn).values(default_version=number))


def remove_version(tx: Connection, policy: ManagedPolicy, number: int) -> None:
    """Delete a version. Raises ``DeleteConflict`` for the default one."""
    if number == policy.default_version:
        raise delete_conflict("Cannot delete the default version of a policy.")
    tx.execute(
        delete(iam_policy_versions).where(
            iam_policy_versions.c.policy_arn == policy.arn, iam_policy_versions.c.version == number
        )
    )


def remove(tx: Connection, policy: ManagedPolicy) -> None:
    """Delete a policy. Raises ``DeleteConflict`` while it is in use or has further versions."""
    if attachment_counts(tx).get(policy.arn) or boundary_counts(tx).get(policy.arn):
        raise delete_conflict("Cannot delete a policy attached to entities.")
    if len(versions(tx, policy)) > 1:
        raise delete_conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
    tx.execute(delete(iam_policy_versions).where(iam_policy_versions.c.policy_arn == policy.arn))
    tx.execute(delete(iam_policies).where(iam_policies.c.arn == policy.arn))


def _add_version(tx: Connection, arn: str, number: int, document: str, now_us: int) -> None:
    values = {"policy_arn": arn, "version": number, "document": document, "created_us": now_us}
    tx.execute(insert(iam_policy_versions).values(**values))


def _policy(row: Row[Any]) -> ManagedPolicy:
    return ManagedPolicy(
        arn=row.arn,
        account=row.account,
        name=row.name,
        unique_id=row.unique_id,
        path=row.path,
        default_version=row.default_version,
        created_us=row.created_us,
        updated_us=row.updated_us,
        description=row.description,
        tags=json.loads(row.tags),
    )


def _of_aws(policy: AwsManagedPolicy) -> ManagedPolicy:
    # The date the IAM API began to show managed policies (2015-02-06): a constant, as everything here is.
    since_us = 1_423_180_800_000_000
    return ManagedPolicy(
        policy.arn, "aws", policy.name, policy.unique_id, "/", 1, since_us, since_us, policy.description
    )
