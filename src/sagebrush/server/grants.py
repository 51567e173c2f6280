"""Grants for the front door: the secret of an access key, and whether it may do what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sagebrush.substrate.calls.authorizing import resource_tags
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Principal
from sagebrush.substrate.platform import Platform

#: How long the front door goes by a grant before it asks again.
_SECONDS: Final = 5


def grant(platform: Platform, question: Mapping[str, Any]) -> dict[str, Any]:
    """What the front door verifies a signature with, and the refusal if the policies do not allow the action.

    Raises CallerError as :meth:`Identity.lookup` does for a key that is none, and SerializationException for a
    question that is none. The answer holds a secret: it goes over the control plane's own socket only, into no log.
    """
    key, action, resource = (_text(question, name) for name in ("access_key_id", "action", "resource"))
    token = question.get("session_token")
    found = platform.identity.lookup(key, str(token) if token else None)
    # The front door verifies the signature after this answer: a use too many is noted rather than one too few.
    platform.identity.key_uses.note(key, "sagemaker")
    source_ip = str(question.get("source_ip") or "")
    return {
        "secret": found.secret_access_key,
        "denied": _denied(platform, found.principal, action, resource, source_ip),
        "seconds": _SECONDS,
    }


def _denied(
    platform: Platform, principal: Principal, action: str, resource: str, source_ip: str
) -> dict[str, Any] | None:
    try:
        platform.identity.authorize(
            principal,
            action,
            resource,
            source_ip=source_ip,
            resource_tags=lambda: resource_tags(platform, resource),
        )
    except CallerError as error:
        # The runtime's API is REST: it refuses with 403 where the JSON services say 400.
        return {"code": error.code, "message": error.message, "status": 403}
    return None


def _text(question: Mapping[str, Any], name: str) -> str:
    value = question.get(name)
    if not isinstance(value, str) or not value:
        raise CallerError("SerializationException", f"The question lacks {name}.")
    return value
