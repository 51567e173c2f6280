"""IAM's own condition keys: which policy is attached, and within which permissions boundary.

They make it possible to let others make users and roles that never have more than a boundary allows.
AWS: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html and
access_policies_boundaries.html, "Delegating responsibility to others using permissions boundaries".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import entities
from sagebrush.substrate.identity.context import ContextValue
from sagebrush.substrate.identity.entities import ROLE, USER

POLICY_ARN, BOUNDARY = "iam:PolicyARN", "iam:PermissionsBoundary"


def of_request(call: Call, request: Mapping[str, Any]) -> dict[str, ContextValue]:
    """``iam:PolicyARN``, ``iam:PermissionsBoundary``: of the request, or else the role's or user's that it names."""
    keys: dict[str, ContextValue] = {}
    if "PolicyArn" in request:
        keys[POLICY_ARN] = request["PolicyArn"]
    boundary = request.get("PermissionsBoundary") or _boundary_of(call, request)
    if boundary:
        keys[BOUNDARY] = boundary
    return keys


def _boundary_of(call: Call, request: Mapping[str, Any]) -> str | None:
    for kind, member in ((ROLE, "RoleName"), (USER, "UserName")):
        if name := request.get(member):
            find = partial(entities.find, account=call.account, kind=kind, name=name)
            try:
                return call.platform.store.read(find).boundary_arn
            except CallerError:
                return None  # The operation says that there is no such thing.
    return None
