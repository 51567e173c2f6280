"""Artifacts, which are known by their ARN, and that by their source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from sagebrush.lineage.model.identity import artifact_id
from sagebrush.lineage.operations import recording
from sagebrush.lineage.resources import ARTIFACT, show_artifact
from sagebrush.substrate.calls import Call
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources import Row, fetch_by_arn, insert


def create_artifact(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Record an artifact. Raises ValidationException when its source is an artifact's already: look it up by
    ListArtifacts with SourceUri."""
    name, body, tags = artifact_id(request["Source"]), recording.body_of(call, request), request.get("Tags", ())
    row = call.platform.store.write(lambda tx: insert(tx, ARTIFACT, call=call, name=name, body=body, tags=tags))
    return {"ArtifactArn": row.arn}


def describe_artifact(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Raises ResourceNotFound."""
    return show_artifact(call.platform.store.read(lambda connection: _named(connection, call, request)))


def update_artifact(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Raises ResourceNotFound, and ValidationException for too many properties."""
    row = call.platform.store.write(lambda tx: recording.change(tx, call, _named(tx, call, request), request))
    return {"ArtifactArn": row.arn}


def delete_artifact(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """By ARN or by source. Raises ResourceNotFound, and ValidationException while it has associations."""
    arn = call.platform.store.write(lambda tx: recording.take_away(tx, call, _named(tx, call, request)))
    return {"ArtifactArn": arn}


def new_artifact(call: Call, request: Mapping[str, Any]) -> list[str]:
    """For authorisation: what CreateArtifact will make."""
    return [ARTIFACT.arn(call.account, call.region, artifact_id(request["Source"]))]


def artifact_arns(call: Call, request: Mapping[str, Any]) -> list[str]:
    """For authorisation: the artifact that a request names."""
    return [_arn(call, request)]


def _arn(call: Call, request: Mapping[str, Any]) -> str:
    if "ArtifactArn" in request:
        return str(request["ArtifactArn"])
    if "Source" in request:
        return new_artifact(call, request)[0]
    raise validation("Either ArtifactArn or Source must be given.")


def _named(connection: Connection, call: Call, request: Mapping[str, Any]) -> Row:
    arn = _arn(call, request)
    row = fetch_by_arn(connection, arn)
    if row is None or row.kind != ARTIFACT.kind or row.account != call.account:
        raise ARTIFACT.missing(arn.rpartition("/")[2], arn)
    return row
