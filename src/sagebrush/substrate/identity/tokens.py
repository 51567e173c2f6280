"""Session tokens: claims that the platform authenticated and that nobody has to store.

A token is ``version | HMAC | key id | deflated JSON claims`` in URL-safe base64. The session's secret access key is
derived from the platform key and the whole token, so any process that holds the key file can verify a request signed
with it (docs/dev/decisions/0002-stateless-session-tokens.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from dataclasses import dataclass
from typing import Any

from sagebrush.substrate.identity.keys import SIGNATURE_BYTES, PlatformKeys, key_of
from sagebrush.substrate.identity.principal import Principal

_VERSION = b"\x01"
_PURPOSE = "session-token"
_SECRET_PURPOSE = "session-secret"
_SECRET_CHARACTERS = 40
#: Nothing longer is a token of ours; refused before any work is done on it.
_LONGEST = 12_000


@dataclass(frozen=True, slots=True)
class Session:
    """What a token says."""

    access_key_id: str
    principal: Principal
    expires_us: int


@dataclass(frozen=True, slots=True)
class SealedSession:
    """A session with what its holder needs to sign requests."""

    session: Session
    token: str
    secret_access_key: str


def seal(keys: PlatformKeys, session: Session) -> SealedSession:
    """Make the token and the secret of a session."""
    claims = json.dumps(_to_claims(session), separators=(",", ":")).encode()
    payload = zlib.compress(claims, 9)
    signature = keys.sign(_PURPOSE, _VERSION + payload)
    token = base64.urlsafe_b64encode(_VERSION + signature + payload).rstrip(b"=").decode()
    return SealedSession(session, token, _secret(keys, signature))


def open_token(keys: PlatformKeys, token: str) -> SealedSession | None:
    """What a token of ours says, expired or not; None for anything that the platform's keys did not make."""
    if len(token) > _LONGEST:
        return None
    try:
        blob = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    end = len(_VERSION) + SIGNATURE_BYTES
    signature, payload = blob[len(_VERSION) : end], blob[end:]
    if blob[:1] != _VERSION or not keys.verify(_PURPOSE, _VERSION + payload, signature):
        return None
    session = _from_claims(json.loads(zlib.decompress(payload)))
    return SealedSession(session, token, _secret(keys, signature))


def _secret(keys: PlatformKeys, signature: bytes) -> str:
    key = keys.derive(_SECRET_PURPOSE, key_of(signature))
    return base64.b64encode(hmac.digest(key, signature, hashlib.sha256)).decode()[:_SECRET_CHARACTERS]


def _to_claims(session: Session) -> dict[str, Any]:
    principal = session.principal
    claims: dict[str, Any] = {
        "key": session.access_key_id,
        "expires_us": session.expires_us,
        "arn": principal.arn,
        "account": principal.account,
        "id": principal.user_id,
    }
    if principal.role_arn is not None:
        claims["role"] = principal.role_arn
    if principal.operator:
        claims["operator"] = True
    if principal.session_policies:
        claims["policies"] = principal.session_policies
    if principal.session_context:
        claims["context"] = principal.session_context
    return claims


def _from_claims(claims: dict[str, Any]) -> Session:
    principal = Principal(
        arn=claims["arn"],
        account=claims["account"],
        user_id=claims["id"],
        role_arn=claims.get("role"),
        operator=claims.get("operator", False),
        session_policies=tuple(claims.get("policies", ())),
        session_context=tuple((key, value) for key, value in claims.get("context", ())),
    )
    return Session(claims["key"], principal, claims["expires_us"])
