"""Whether the code of a job may still get credentials."""

from __future__ import annotations

from sqlalchemy import Connection

from sagebrush.substrate.identity.job_credentials import Claims
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import fetch_by_id
from sagebrush.training import tables
from sagebrush.training.model.phases import TERMINAL


def is_live(platform: Platform, claims: Claims) -> bool:
    """Whether the attempt that a token names still runs."""

    def look(conn: Connection) -> bool:
        if not tables.is_live(conn, claims.resource_id, claims.attempt):
            return False
        row = fetch_by_id(conn, claims.resource_id)
        return row is not None and row.status not in TERMINAL

    return platform.store.read(look)
