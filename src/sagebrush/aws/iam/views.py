"""Roles, users, groups and policies as the API shows them. Documents are percent-encoded (RFC 3986), as IAM's are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.identity.entities import Entity
from sagebrush.substrate.identity.managed import ManagedPolicy, PolicyVersion


def moment(us: int) -> datetime:
    """IAM's times have whole seconds."""
    return to_datetime(us // 1_000_000 * 1_000_000)


def encoded(document: str) -> str:
    """A policy document as IAM's answers carry it."""
    return quote(document, safe="")


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags by key."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def role(entity: Entity, *, whole: bool) -> dict[str, Any]:
    """A role. Lists leave boundary and tags out (``whole`` false), as IAM does since they were added."""
    shown: dict[str, Any] = {
        "Path": entity.path,
        "RoleName": entity.name,
        "RoleId": entity.unique_id,
        "Arn": entity.arn,
        "CreateDate": moment(entity.created_us),
        "AssumeRolePolicyDocument": encoded(entity.trust_policy),
        "MaxSessionDuration": entity.max_session_seconds,
    }
    if entity.description is not None:
        shown["Description"] = entity.description
    return shown | (_boundary_and_tags(entity) if whole else {})


def user(entity: Entity, *, whole: bool) -> dict[str, Any]:
    """A user; ``whole`` as for roles."""
    shown = {
        "Path": entity.path,
        "UserName": entity.name,
        "UserId": entity.unique_id,
        "Arn": entity.arn,
        "CreateDate": moment(entity.created_us),
    }
    return shown | (_boundary_and_tags(entity) if whole else {})


def group(entity: Entity) -> dict[str, Any]:
    """A group."""
    return {
        "Path": entity.path,
        "GroupName": entity.name,
        "GroupId": entity.unique_id,
        "Arn": entity.arn,
        "CreateDate": moment(entity.created_us),
    }


def policy(found: ManagedPolicy, *, attachments: int, boundaries: int, whole: bool) -> dict[str, Any]:
    """A managed policy and how often it is used. Lists leave description and tags out."""
    shown: dict[str, Any] = {
        "PolicyName": found.name,
        "PolicyId": found.unique_id,
        "Arn": found.arn,
        "Path": found.path,
        "DefaultVersionId": version_id(found.default_version),
        "AttachmentCount": attachments,
        "PermissionsBoundaryUsageCount": boundaries,
        "IsAttachable": True,
        "CreateDate": moment(found.created_us),
        "UpdateDate": moment(found.updated_us),
    }
    if whole:
        if found.description:
            shown["Description"] = found.description
        shown["Tags"] = tag_list(found.tags)
    return shown


def policy_version(version: PolicyVersion, default: int, *, with_document: bool) -> dict[str, Any]:
    """A version of a managed policy."""
    shown: dict[str, Any] = {
        "VersionId": version_id(version.number),
        "IsDefaultVersion": version.number == default,
        "CreateDate": moment(version.created_us),
    }
    if with_document:
        shown["Document"] = encoded(version.document)
    return shown


def version_id(number: int) -> str:
    """``v1``."""
    return f"v{number}"


def _boundary_and_tags(entity: Entity) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if entity.boundary_arn is not None:
        shown["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": entity.boundary_arn,
        }
    if entity.tags:
        shown["Tags"] = tag_list(entity.tags)
    return shown
