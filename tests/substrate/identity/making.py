"""Roles, users and policies for the tests, made as the IAM operations make them."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.identity import Identity, Principal, entities, entity_policies, managed
from sagebrush.substrate.identity.entities import ROLE, USER, Entity

ACCOUNT = "123456789012"
SAGEMAKER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerRole"
OBJECT = "arn:aws:s3:::data/part-1.csv"
NOW_US = 1_700_000_000_000_000


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trusting(principal: dict[str, Any]) -> str:
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


def make_role(identity: Identity, name: str = "Worker", *statements: dict[str, Any], **members: Any) -> Entity:
    """A role with one inline policy of ``statements``."""
    members.setdefault("trust_policy", trusting({"Service": "sagemaker.amazonaws.com"}))
    return _make(identity, ROLE, name, statements, members)


def make_user(identity: Identity, name: str = "alice", *statements: dict[str, Any], **members: Any) -> Entity:
    """A user with one inline policy of ``statements``."""
    return _make(identity, USER, name, statements, members)


def put(identity: Identity, entity: Entity, *statements: dict[str, Any]) -> None:
    """Replace the inline policy."""
    identity.change(lambda tx: entity_policies.put_inline(tx, entity, "inline", policy(*statements)))


def make_policy(identity: Identity, name: str, *statements: dict[str, Any]) -> str:
    """A managed policy; its ARN."""
    made = managed.new_policy(ACCOUNT, name, "/", NOW_US)
    identity.change(lambda tx: managed.add(tx, made, policy(*statements)))
    return made.arn


def user_principal(user: Entity) -> Principal:
    return Principal(arn=user.arn, account=ACCOUNT, user_id=user.unique_id)


def _make(
    identity: Identity, kind: str, name: str, statements: tuple[dict[str, Any], ...], members: dict[str, Any]
) -> Entity:
    entity = entities.new_entity(ACCOUNT, kind, name, members.pop("path", "/"), NOW_US, **members)

    def write(tx: Connection) -> None:
        entities.add(tx, entity)
        if statements:
            entity_policies.put_inline(tx, entity, "inline", policy(*statements))

    identity.change(write)
    return entity
