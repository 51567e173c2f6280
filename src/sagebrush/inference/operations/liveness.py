"""Whether the code of a replica may still get credentials."""

from __future__ import annotations

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.substrate.identity.job_credentials import Claims
from sagebrush.substrate.platform import Platform


def is_live(platform: Platform, claims: Claims) -> bool:
    """Whether the replica that a token names has not been removed yet."""

    def look(conn: Connection) -> bool:
        replica = tables.find_replica(conn, claims.resource_id)
        return replica is not None and replica.revision == claims.attempt

    return platform.store.read(look)
