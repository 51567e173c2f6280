"""The credentials of a job's code: not an AWS operation, served to jobs under the platform's own path."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.errors import access_denied
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import Row, fetch_by_id
from sagebrush.training import tables
from sagebrush.training.engine import job_credentials as tokens
from sagebrush.training.model.phases import TERMINAL


def job_credentials(platform: Platform, authorization_header: str) -> dict[str, Any]:
    """Temporary credentials of the role of the job whose token this is, as SDKs read them from a container endpoint.

    ``Expiration`` is ISO 8601 text. Raises CallerError AccessDeniedException (403) for a token that is none of ours, or
    whose job is not running any more.
    """
    claims = tokens.check(platform.identity, authorization_header)

    def look(conn: Connection) -> Row | None:
        live = tables.is_live(conn, claims.resource_id, claims.attempt)
        return fetch_by_id(conn, claims.resource_id) if live else None

    row = platform.store.read(look)
    if row is None or row.status in TERMINAL:
        raise access_denied(f"The job {claims.job_arn} is not running any more.", status=403)
    session = platform.identity.role_session(claims.role_arn, tokens.SESSION_NAME, tokens.SECONDS)
    return {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "Token": session.session_token,
        "Expiration": session.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "RoleArn": claims.role_arn,
    }
