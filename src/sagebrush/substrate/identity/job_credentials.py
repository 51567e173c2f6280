"""The token by which user code gets temporary credentials of its role: made at launch, checked at every use.

``<payload>.<mac>``, both base64url: the payload is JSON naming the resource and attempt, the mac the platform's own. It
opens nothing by itself: the capability whose resource it names says whether that attempt is still live.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from sagebrush.substrate.errors import CallerError, access_denied
from sagebrush.substrate.identity.principal import TemporaryCredentials

PURPOSE = "job-credentials"
#: SageMaker's session name in the ARN that jobs see of themselves, and how long one set of credentials lasts.
SESSION_NAME = "SageMaker"
SECONDS = 3600


class Signer(Protocol):
    """The platform's key: an authentication code over bytes, keyed for a purpose."""

    def sign(self, purpose: str, payload: bytes) -> bytes: ...

    def verify_mac(self, purpose: str, payload: bytes, mac: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: the kind of resource (``training-job``), which one, in which attempt, acts as which role."""

    kind: str
    resource_id: str
    arn: str
    role_arn: str
    attempt: int


def issue(signer: Signer, claims: Claims) -> str:
    """A token for the job's environment; fit for an Authorization header as it is."""
    payload = json.dumps(asdict(claims), separators=(",", ":"), sort_keys=True).encode()
    return f"{_encode(payload)}.{_encode(signer.sign(PURPOSE, payload))}"


def check(signer: Signer, token: str) -> Claims:
    """What an authentic token says. Raises CallerError AccessDeniedException (403) for any other text."""
    encoded, _, mac = token.strip().partition(".")
    try:
        payload, given = _decode(encoded), _decode(mac)
    except (binascii.Error, ValueError):
        raise _refused() from None
    if not signer.verify_mac(PURPOSE, payload, given):
        raise _refused()
    try:
        return Claims(**json.loads(payload))
    except TypeError:  # Made by an older platform.
        raise _refused() from None


def document(claims: Claims, session: TemporaryCredentials) -> dict[str, Any]:
    """Credentials as SDKs read them from a container endpoint; ``Expiration`` is ISO 8601 text."""
    return {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "Token": session.session_token,
        "Expiration": session.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "RoleArn": claims.role_arn,
    }


def ended(claims: Claims) -> CallerError:
    """The error for a token whose attempt is over."""
    return access_denied(f"{claims.arn} is not running any more.", status=403)


def _refused() -> CallerError:
    return access_denied("The authorization token is not one that this platform gave to a job.", status=403)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
