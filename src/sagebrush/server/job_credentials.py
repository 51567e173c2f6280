"""Credentials for user code that runs here: whatever it is, its own capability says whether it still runs."""

from __future__ import annotations

from typing import Any

from sagebrush.server.capabilities import CAPABILITIES
from sagebrush.substrate.identity import job_credentials as tokens
from sagebrush.substrate.platform import Platform

_RUNS = {kind: is_live for capability in CAPABILITIES for kind, is_live in capability.runs.items()}


def job_credentials(platform: Platform, authorization: str) -> dict[str, Any]:
    """Temporary credentials of the role of the code whose token this is.

    Raises CallerError AccessDeniedException (403) for a token that is none of ours, or whose attempt is over.
    """
    claims = tokens.check(platform.identity, authorization)
    if claims.kind not in _RUNS or not _RUNS[claims.kind](platform, claims):
        raise tokens.ended(claims)
    session = platform.identity.role_session(claims.role_arn, tokens.SESSION_NAME, tokens.SECONDS)
    return tokens.document(claims, session)
