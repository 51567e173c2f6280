"""Page tokens: where a page ended, authenticated and good for one listing only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sagebrush.substrate.errors import CallerError, validation

if TYPE_CHECKING:
    from sagebrush.substrate.calls import Call

#: What the platform's key signs these for; a MAC for another purpose does not pass.
PURPOSE = "page-token"
_MAC_BYTES = 16


def seal(call: Call, request: Mapping[str, Any], position: tuple[Any, str]) -> str:
    """The token for the page after ``position``."""
    payload = json.dumps([_binding(call, request), *position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(call, payload) + payload).decode()


def unseal(call: Call, request: Mapping[str, Any], token: str) -> tuple[Any, str]:
    """The position in ``token``. Raises ValidationException for a token of another listing, or of nobody."""
    try:
        sealed = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except ValueError:
        raise _invalid() from None
    mac, payload = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(call, payload)):
        raise _invalid()
    binding, value, last_id = json.loads(payload)
    if binding != _binding(call, request):
        raise _invalid()
    return value, last_id


def _mac(call: Call, payload: bytes) -> bytes:
    mac: bytes = call.platform.identity.sign(PURPOSE, payload)
    return mac[:_MAC_BYTES]


def _binding(call: Call, request: Mapping[str, Any]) -> str:
    """What a token is good for: everything of the request but the page's size and the token itself."""
    kept = {key: value for key, value in request.items() if key not in {"NextToken", "MaxResults"}}
    text = json.dumps([call.account, call.region, call.service, call.operation, kept], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _invalid() -> CallerError:
    return validation("Invalid NextToken: it is not valid for this request. Repeat the request without it.")
