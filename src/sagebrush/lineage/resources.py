"""The nouns of lineage. An artifact's name in the table is the hash of its source, for that is what its ARN ends in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.errors import CallerError, validation
from sagebrush.substrate.resources import ListSpec, Resource, Row, described


def _missing(noun: str) -> Callable[[str, str], CallerError]:
    return lambda name, arn: CallerError("ResourceNotFound", f"{noun} {arn} does not exist.")


def _taken(noun: str) -> Callable[[str, str], CallerError]:
    return lambda name, arn: validation(f"{noun} {arn} already exists.")


def summary_of(name_member: str, arn_member: str, *members: str) -> Callable[[Row], dict[str, Any]]:
    """One entry of a list: name, ARN, both times, and these ``members`` of the body where they were given."""

    def render(row: Row) -> dict[str, Any]:
        return {member: row.body[member] for member in members if member in row.body} | {
            name_member: row.name,
            arn_member: row.arn,
            "CreationTime": to_datetime(row.created_us),
            "LastModifiedTime": to_datetime(row.modified_us),
        }

    return render


ACTION = Resource(
    service="sagemaker",
    noun="Action",
    kind="action",
    name_member="ActionName",
    arn_member="ActionArn",
    describe=described("ActionName", "ActionArn"),
    listing=ListSpec(
        operation="ListActions",
        member="ActionSummaries",
        summary=summary_of("ActionName", "ActionArn", "Source", "ActionType", "Status"),
        equals={"SourceUri": "body.Source.SourceUri", "ActionType": "body.ActionType"},
        sort={"Name": "name", "CreationTime": "created_us"},
    ),
    not_found=_missing("Action"),
    already_exists=_taken("Action"),
    update="UpdateAction",
    emits=False,
)

CONTEXT = Resource(
    service="sagemaker",
    noun="Context",
    kind="context",
    name_member="ContextName",
    arn_member="ContextArn",
    describe=described("ContextName", "ContextArn"),
    listing=ListSpec(
        operation="ListContexts",
        member="ContextSummaries",
        summary=summary_of("ContextName", "ContextArn", "Source", "ContextType"),
        equals={"SourceUri": "body.Source.SourceUri", "ContextType": "body.ContextType"},
        sort={"Name": "name", "CreationTime": "created_us"},
    ),
    not_found=_missing("Context"),
    already_exists=_taken("Context"),
    update="UpdateContext",
    emits=False,
)


def show_artifact(row: Row, *, summary: bool = False) -> dict[str, Any]:
    """DescribeArtifact's output, or one entry of ListArtifacts. An artifact may have no name."""
    shown = summary_of("", "ArtifactArn", *(_SUMMARY if summary else row.body))(row)
    shown.pop("")
    return shown


_SUMMARY = ("ArtifactName", "Source", "ArtifactType")

ARTIFACT = Resource(
    service="sagemaker",
    noun="Artifact",
    kind="artifact",
    name_member="ArtifactName",
    arn_member="ArtifactArn",
    describe_operation=None,
    delete=None,
    listing=ListSpec(
        operation="ListArtifacts",
        member="ArtifactSummaries",
        summary=lambda row: show_artifact(row, summary=True),
        equals={"SourceUri": "body.Source.SourceUri", "ArtifactType": "body.ArtifactType"},
        sort={"CreationTime": "created_us"},
    ),
    not_found=_missing("Artifact"),
    already_exists=_taken("Artifact"),
)

NOUNS = (ACTION, CONTEXT, ARTIFACT)
#: kind -> the member of the body that says what sort of action, context or artifact it is.
TYPE_MEMBERS = {ACTION.kind: "ActionType", CONTEXT.kind: "ContextType", ARTIFACT.kind: "ArtifactType"}
