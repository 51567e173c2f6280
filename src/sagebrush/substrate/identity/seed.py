"""What exists from the first start: the role that the documents of the field print, SageMakerRole."""

from __future__ import annotations

import json

from sqlalchemy import Connection

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.identity import entities, entity_policies, versions
from sagebrush.substrate.identity.aws_managed import S3_FULL, SAGEMAKER_FULL
from sagebrush.substrate.identity.policy.document import CURRENT_VERSION
from sagebrush.substrate.identity.sessions import OPERATOR_ROLE, operator_role_id
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import Store

_MAX_SESSION_SECONDS = 43_200


def ensure_seed(store: Store, settings: Settings, clock: Clock) -> None:
    """Create SageMakerRole, once per account and data directory: a role that was deleted since stays deleted.

    AWS's managed policies need no seeding, they are package data.
    """
    store.write(lambda tx: _seed(tx, settings.account, clock.now_us()))


def _seed(tx: Connection, account: str, now_us: int) -> None:
    if not versions.mark_once(tx, f"seed/{account}"):
        return
    role = entities.new_entity(
        account,
        entities.ROLE,
        OPERATOR_ROLE,
        "/",
        now_us,
        unique_id=operator_role_id(account),
        description="Execution role of jobs, made by Sagebrush at the first start",
        max_session_seconds=_MAX_SESSION_SECONDS,
        trust_policy=_trust_policy("sagemaker.amazonaws.com"),
    )
    entities.add(tx, role)
    for policy in (SAGEMAKER_FULL, S3_FULL):
        entity_policies.attach(tx, role, policy)
    versions.bump(tx)


def _trust_policy(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": CURRENT_VERSION, "Statement": [statement]})
