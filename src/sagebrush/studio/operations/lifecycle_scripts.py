"""Lifecycle configurations: records of scripts, which travel as base64.

Source: API reference of CreateStudioLifecycleConfig and of NotebookInstanceLifecycleHook ("base64-encoded").
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sagebrush.studio.resources import NOTEBOOK_LIFECYCLE_CONFIG, STUDIO_LIFECYCLE_CONFIG
from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources import plain

_HOOKS = ("OnCreate", "OnStart")


def create_studio_lifecycle_config(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Raises ValidationException for content that is not base64."""
    _check("StudioLifecycleConfigContent", request["StudioLifecycleConfigContent"])
    return plain.create(call, STUDIO_LIFECYCLE_CONFIG, request)


def create_notebook_instance_lifecycle_config(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Raises ValidationException for content that is not base64."""
    _check_hooks(request)
    return plain.create(call, NOTEBOOK_LIFECYCLE_CONFIG, request)


def update_notebook_instance_lifecycle_config(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Replace the hooks that are given. Raises ValidationException for content that is not base64."""
    _check_hooks(request)
    plain.update(call, NOTEBOOK_LIFECYCLE_CONFIG, request)
    return {}


def _check_hooks(request: dict[str, Any]) -> None:
    for member in _HOOKS:
        for number, hook in enumerate(request.get(member, ()), 1):
            if "Content" in hook:
                _check(f"{member}.{number}.member.content", hook["Content"])


def _check(member: str, content: str) -> None:
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise validation(f"{member} is not a valid base64 encoded string.") from None
