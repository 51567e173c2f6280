"""IAM's ``Marker`` and ``MaxItems``."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity.iam_errors import validation_error

DEFAULT_PAGE = 100
_PURPOSE = "iam-marker"
_SIGNATURE_BYTES = 36
T = TypeVar("T")


def window(
    call: Call,
    request: Mapping[str, Any],
    fetch: Callable[[str, int], Sequence[T]],
    key: Callable[[T], str],
) -> tuple[list[T], dict[str, Any]]:
    """One page, and the members of the answer that tell of the next.

    ``fetch(after, limit)`` gives items in the order of ``key``, beginning after the key ``after``. A marker is good
    only for the operation, account and filters it came from. Raises ``ValidationError`` for any other.
    """
    size = request.get("MaxItems", DEFAULT_PAGE)
    after = _open(call, request, request["Marker"]) if "Marker" in request else ""
    found = list(fetch(after, size + 1))
    page = found[:size]
    if len(found) <= size:
        return page, {"IsTruncated": False}
    return page, {"IsTruncated": True, "Marker": _seal(call, request, key(page[-1]))}


def listed(
    call: Call, request: Mapping[str, Any], items: Sequence[T], key: Callable[[T], str]
) -> tuple[list[T], dict[str, Any]]:
    """As :func:`window`, over items that are all at hand."""
    ordered = sorted(items, key=key)
    return window(call, request, lambda after, limit: [item for item in ordered if key(item) > after][:limit], key)


def _binding(call: Call, request: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in request.items() if name not in ("Marker", "MaxItems")}
    return json.dumps([call.operation, call.account, kept], sort_keys=True)


def _seal(call: Call, request: Mapping[str, Any], position: str) -> str:
    payload = position.encode()
    signature = call.platform.identity.sign(_PURPOSE, payload + b"\0" + _binding(call, request).encode())
    return base64.urlsafe_b64encode(signature + payload).decode()


def _open(call: Call, request: Mapping[str, Any], marker: str) -> str:
    try:
        blob = base64.urlsafe_b64decode(marker.encode())
    except (binascii.Error, ValueError):
        raise _invalid() from None
    signature, payload = blob[:_SIGNATURE_BYTES], blob[_SIGNATURE_BYTES:]
    bound = payload + b"\0" + _binding(call, request).encode()
    if not call.platform.identity.verify_mac(_PURPOSE, bound, signature):
        raise _invalid()
    return payload.decode()


def _invalid() -> CallerError:
    return validation_error("Invalid Marker.")
