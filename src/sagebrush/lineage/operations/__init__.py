"""The API of lineage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.lineage.operations.artifacts import (
    artifact_arns,
    create_artifact,
    delete_artifact,
    describe_artifact,
    new_artifact,
    update_artifact,
)
from sagebrush.lineage.operations.associations import add_association, delete_association, list_associations
from sagebrush.lineage.operations.named_records import named_operations
from sagebrush.lineage.resources import ACTION, ARTIFACT, CONTEXT
from sagebrush.substrate.calls import Call, Handler
from sagebrush.substrate.calls.capability import ResourceArns
from sagebrush.substrate.resources import plain_operations, plain_resource_arns

__all__ = ["OPERATIONS", "RESOURCE_ARNS"]


def _both_ends(call: Call, request: Mapping[str, Any]) -> list[str]:
    return [request["SourceArn"], request["DestinationArn"]]


OPERATIONS: Mapping[str, Handler] = {
    **plain_operations(ACTION),
    **plain_operations(CONTEXT),
    **plain_operations(ARTIFACT),
    **named_operations(ACTION),
    **named_operations(CONTEXT),
    "CreateArtifact": create_artifact,
    "DescribeArtifact": describe_artifact,
    "UpdateArtifact": update_artifact,
    "DeleteArtifact": delete_artifact,
    "AddAssociation": add_association,
    "DeleteAssociation": delete_association,
    "ListAssociations": list_associations,
}

RESOURCE_ARNS: Mapping[str, ResourceArns] = {
    **plain_resource_arns(ACTION),
    **plain_resource_arns(CONTEXT),
    "CreateArtifact": new_artifact,
    **dict.fromkeys(("DescribeArtifact", "UpdateArtifact", "DeleteArtifact"), artifact_arns),
    **dict.fromkeys(("AddAssociation", "DeleteAssociation"), _both_ends),
}
