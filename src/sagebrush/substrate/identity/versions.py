"""The counter by which one process learns that another changed users, roles or policies."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, insert, select, update

from sagebrush.substrate.identity.tables import identity_versions

_POLICIES = "policies"


def current(connection: Connection) -> int:
    """How often identities were changed."""
    return connection.execute(select(identity_versions.c.version).where(_is(_POLICIES))).scalar() or 0


def bump(tx: Connection) -> None:
    """Say that something changed; belongs into the transaction that changes it."""
    increased = update(identity_versions).where(_is(_POLICIES)).values(version=identity_versions.c.version + 1)
    if tx.execute(increased).rowcount == 0:
        tx.execute(insert(identity_versions).values(name=_POLICIES, version=1))


def mark_once(tx: Connection, name: str) -> bool:
    """True the first time it is called with ``name``, ever."""
    if tx.execute(select(identity_versions.c.version).where(_is(name))).scalar() is not None:
        return False
    tx.execute(insert(identity_versions).values(name=name, version=1))
    return True


def _is(name: str) -> ColumnElement[bool]:
    return identity_versions.c.name == name
