"""Roles, users and groups: their rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from sagebrush.substrate.identity.access_key_ids import new_unique_id
from sagebrush.substrate.identity.iam_errors import already_exists, delete_conflict, no_such
from sagebrush.substrate.identity.tables import (
    iam_access_keys,
    iam_attachments,
    iam_entities,
    iam_group_members,
    iam_inline_policies,
)

ROLE = "role"
USER = "user"
GROUP = "group"
_ID_PREFIX = {ROLE: "AROA", USER: "AIDA", GROUP: "AGPA"}
DEFAULT_SESSION_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Entity:
    """A role, a user or a group. The last three members are a role's."""

    arn: str
    account: str
    kind: str
    name: str
    unique_id: str
    path: str
    created_us: int
    boundary_arn: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    max_session_seconds: int = DEFAULT_SESSION_SECONDS
    trust_policy: str = ""


def new_entity(account: str, kind: str, name: str, path: str, now_us: int, **members: Any) -> Entity:
    """An entity that does not exist yet; ``members`` are the optional members of :class:`Entity`."""
    arn = f"arn:aws:iam::{account}:{kind}{path}{name}"
    members.setdefault("unique_id", new_unique_id(_ID_PREFIX[kind]))
    return Entity(arn=arn, account=account, kind=kind, name=name, path=path, created_us=now_us, **members)


def add(tx: Connection, entity: Entity) -> None:
    """Insert it. Raises ``EntityAlreadyExists``."""
    require_free(tx, entity)
    is_role = entity.kind == ROLE
    tx.execute(
        insert(iam_entities).values(
            arn=entity.arn,
            account=entity.account,
            kind=entity.kind,
            name=entity.name,
            name_key=entity.name.lower(),
            unique_id=entity.unique_id,
            path=entity.path,
            created_us=entity.created_us,
            boundary_arn=entity.boundary_arn,
            tags=json.dumps(dict(entity.tags)),
            description=entity.description,
            max_session_seconds=entity.max_session_seconds if is_role else None,
            trust_policy=entity.trust_policy if is_role else None,
        )
    )


def require_free(connection: Connection, entity: Entity) -> None:
    """Raises ``EntityAlreadyExists`` when its name is taken; names differ by more than case."""
    taken = select(iam_entities.c.arn).where(
        iam_entities.c.account == entity.account,
        iam_entities.c.kind == entity.kind,
        iam_entities.c.name_key == entity.name.lower(),
    )
    if connection.execute(taken).first() is not None:
        raise already_exists(f"{entity.kind.capitalize()} with name {entity.name} already exists.")


def find(connection: Connection, account: str, kind: str, name: str) -> Entity:
    """The role, user or group called ``name``. Raises ``NoSuchEntity``."""
    row = connection.execute(
        select(iam_entities).where(
            iam_entities.c.account == account, iam_entities.c.kind == kind, iam_entities.c.name == name
        )
    ).first()
    if row is None:
        raise no_such(kind, name)
    return _entity(row)


def find_by_arn(connection: Connection, arn: str) -> Entity | None:
    """The role, user or group with this ARN."""
    row = connection.execute(select(iam_entities).where(iam_entities.c.arn == arn)).first()
    return None if row is None else _entity(row)


def of_arns(connection: Connection, arns: Select[tuple[Any]]) -> list[Entity]:
    """The entities whose ARNs a query gives, by name."""
    chosen = select(iam_entities).where(iam_entities.c.arn.in_(arns)).order_by(iam_entities.c.name)
    return [_entity(row) for row in connection.execute(chosen)]


def page(connection: Connection, account: str, kind: str, *, path_prefix: str, after: str, limit: int) -> list[Entity]:
    """Up to ``limit`` entities by name, beginning after the name ``after``."""
    chosen = select(iam_entities).where(
        iam_entities.c.account == account,
        iam_entities.c.kind == kind,
        iam_entities.c.path.startswith(path_prefix, autoescape=True),
        iam_entities.c.name > after,
    )
    return [_entity(row) for row in connection.execute(chosen.order_by(iam_entities.c.name).limit(limit))]


def change(tx: Connection, entity: Entity, **columns: Any) -> None:
    """Set columns of :data:`iam_entities`."""
    tx.execute(update(iam_entities).where(iam_entities.c.arn == entity.arn).values(**columns))


def remove(tx: Connection, entity: Entity) -> None:
    """Delete it. Raises ``DeleteConflict`` while policies or access keys hang on it, or it is in a group or one."""
    in_group = "Cannot delete entity, must remove users from group first."
    conflicts = (
        (iam_group_members.c.user_arn, in_group),
        (iam_group_members.c.group_arn, in_group),
        (iam_attachments.c.entity_arn, "Cannot delete entity, must detach all policies first."),
        (iam_inline_policies.c.entity_arn, "Cannot delete entity, must delete policies first."),
        (iam_access_keys.c.user_arn, "Cannot delete entity, must delete access keys first."),
    )
    for column, message in conflicts:
        if tx.execute(select(column).where(column == entity.arn).limit(1)).first() is not None:
            raise delete_conflict(message)
    tx.execute(delete(iam_entities).where(iam_entities.c.arn == entity.arn))


def _entity(row: Row[Any]) -> Entity:
    return Entity(
        arn=row.arn,
        account=row.account,
        kind=row.kind,
        name=row.name,
        unique_id=row.unique_id,
        path=row.path,
        created_us=row.created_us,
        boundary_arn=row.boundary_arn,
        tags=json.loads(row.tags),
        description=row.description,
        max_session_seconds=row.max_session_seconds or DEFAULT_SESSION_SECONDS,
        trust_policy=row.trust_policy or "",
    )
