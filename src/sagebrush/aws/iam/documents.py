"""Checking policy documents as they come in: grammar, size, and that the principals they trust exist."""

from __future__ import annotations

from sqlalchemy import Connection

from sagebrush.substrate.identity import entities
from sagebrush.substrate.identity.entities import GROUP, ROLE, USER, Entity
from sagebrush.substrate.identity.iam_errors import limit_exceeded
from sagebrush.substrate.identity.policy import Kind, malformed, parse_document

MANAGED_LIMIT = 6144
TRUST_LIMIT = 2048
#: All inline policies of one role, user or group together.
INLINE_LIMITS = {ROLE: 10_240, USER: 2048, GROUP: 5120}


def size(document: str) -> int:
    """IAM does not count white space."""
    return len("".join(document.split()))


def check_managed(document: str) -> None:
    """Raises ``MalformedPolicyDocument``, ``LimitExceeded``."""
    parse_document(document)
    if size(document) > MANAGED_LIMIT:
        raise limit_exceeded(f"Cannot exceed quota for PolicySize: {MANAGED_LIMIT}")


def check_inline(document: str, entity: Entity, others: list[str]) -> None:
    """Raises ``MalformedPolicyDocument``, ``LimitExceeded``; ``others`` are the entity's other inline policies."""
    parse_document(document)
    limit = INLINE_LIMITS[entity.kind]
    if size(document) + sum(size(other) for other in others) > limit:
        raise limit_exceeded(f"Maximum policy size of {limit} bytes exceeded for {entity.kind} {entity.name}")


def check_trust(connection: Connection, account: str, document: str) -> None:
    """Raises ``MalformedPolicyDocument`` also for a role or user of this account that does not exist."""
    parsed = parse_document(document, Kind.TRUST)
    if size(document) > TRUST_LIMIT:
        raise limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {TRUST_LIMIT}")
    ours = (f"arn:aws:iam::{account}:role/", f"arn:aws:iam::{account}:user/")
    for statement in parsed.statements:
        for arn in sorted(statement.principal.aws) if statement.principal is not None else ():
            if arn.startswith(ours) and entities.find_by_arn(connection, arn) is None:
                raise malformed(f'Invalid principal in policy: "AWS":"{arn}"')
