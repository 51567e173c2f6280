"""Lineage by SDK v2 and boto3: artifacts, actions, contexts, associations."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.journeys.running import RunningPlatform

pytestmark = pytest.mark.journey
PROGRAM = Path(__file__).with_name("programs") / "sdk_v2_lineage.py"
HERE = "arn:aws:sagemaker:us-east-1:123456789012"


@pytest.fixture
def prefix() -> str:
    return f"lineage-{uuid.uuid4().hex[:8]}"


def refused(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def artifact(sagemaker: Any, uri: str, **more: Any) -> str:
    return str(sagemaker.create_artifact(Source={"SourceUri": uri}, ArtifactType="DataSet", **more)["ArtifactArn"])


def test_the_sdk_makes_links_lists_changes_and_deletes(platform: RunningPlatform, prefix: str) -> None:
    result = platform.run_client("python", str(PROGRAM), prefix)
    answer = json.loads(result.stdout.partition("RESULT ")[2].splitlines()[0])
    assert "cannot be deleted while it has associations" in answer.pop("refused")
    assert answer == {
        "status": "Completed",
        "properties": {"loss": "0.25"},
        "outgoing": [["AssociatedWith", f"{prefix}-project", "Project"], ["Produced", f"{prefix}-model", "Model"]],
        "found": [f"{prefix}-data"],
        "left": [],
    }


def test_an_artifact_is_its_source(sagemaker: Any, prefix: str) -> None:
    ids = [{"SourceIdType": "S3ETag", "Value": "e"}, {"SourceIdType": "S3Version", "Value": "v"}]
    source = {"SourceUri": f"s3://{prefix}/data", "SourceTypes": ids}
    made = sagemaker.create_artifact(Source=source, ArtifactType="DataSet", Properties={"rows": "5"})["ArtifactArn"]
    assert made.startswith(f"{HERE}:artifact/")
    again = {"Source": source | {"SourceTypes": ids[::-1]}, "ArtifactType": "DataSet"}
    assert refused(sagemaker.create_artifact, **again) == ("ValidationException", f"Artifact {made} already exists.")
    other = artifact(sagemaker, f"s3://{prefix}/data")
    assert other != made
    shown = sagemaker.describe_artifact(ArtifactArn=made)
    assert (shown["Source"], shown["Properties"]) == (source, {"rows": "5"})
    assert "ArtifactName" not in shown
    assert shown["CreatedBy"]["IamIdentity"]["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/SageMakerRole/")
    listed = sagemaker.list_artifacts(SourceUri=f"s3://{prefix}/data")["ArtifactSummaries"]
    assert {found["ArtifactArn"] for found in listed} == {made, other}
    assert sagemaker.delete_artifact(Source=source)["ArtifactArn"] == made
    assert sagemaker.delete_artifact(ArtifactArn=other)["ArtifactArn"] == other
    assert refused(sagemaker.describe_artifact, ArtifactArn=made)[0] == "ResourceNotFound"


def test_properties_are_added_removed_and_limited(sagemaker: Any, prefix: str) -> None:
    sagemaker.create_context(
        ContextName=prefix, Source={"SourceUri": "u"}, ContextType="Project", Properties={"a": "1", "b": "2"}
    )
    sagemaker.update_context(ContextName=prefix, Properties={"c": "3"}, PropertiesToRemove=["a"], Description="told")
    shown = sagemaker.describe_context(ContextName=prefix)
    assert (shown["Properties"], shown["Description"]) == ({"b": "2", "c": "3"}, "told")
    many = {f"p{number}": "x" for number in range(29)}
    code, message = refused(sagemaker.update_context, ContextName=prefix, Properties=many)
    assert (code, "less than or equal to 30" in message) == ("ValidationException", True)
    assert sagemaker.describe_context(ContextName=prefix)["Properties"] == {"b": "2", "c": "3"}
    sagemaker.delete_context(ContextName=prefix)


def test_associations_are_filtered_sorted_and_paged(sagemaker: Any, prefix: str) -> None:
    hub = artifact(sagemaker, f"s3://{prefix}/hub", ArtifactName=f"{prefix}-hub")
    spokes = [artifact(sagemaker, f"s3://{prefix}/{number}") for number in range(5)]
    for number, spoke in enumerate(spokes):
        kind = "DerivedFrom" if number % 2 else "ContributedTo"
        sagemaker.add_association(SourceArn=spoke, DestinationArn=hub, AssociationType=kind)
    listing = {"DestinationArn": hub, "SortBy": "SourceArn", "SortOrder": "Ascending"}
    pages = sagemaker.get_paginator("list_associations").paginate(**listing, PaginationConfig={"PageSize": 2})
    listed = [[edge["SourceArn"] for edge in page["AssociationSummaries"]] for page in pages]
    assert [len(page) for page in listed] == [2, 2, 1]
    assert [arn for page in listed for arn in page] == sorted(spokes)
    derived = sagemaker.list_associations(DestinationArn=hub, AssociationType="DerivedFrom")["AssociationSummaries"]
    assert {edge["SourceArn"] for edge in derived} == {spokes[1], spokes[3]}
    assert {edge["DestinationName"] for edge in derived} == {f"{prefix}-hub"}
    assert all("SourceName" not in edge for edge in derived)
    newest = sagemaker.list_associations(DestinationArn=hub, MaxResults=1)["AssociationSummaries"]
    assert newest[0]["SourceArn"] == spokes[-1]


def test_what_cannot_be_associated_is_told(sagemaker: Any, prefix: str) -> None:
    one, other = (artifact(sagemaker, f"s3://{prefix}/{name}") for name in ("one", "other"))
    missing = f"{HERE}:artifact/{'0' * 32}"
    edge = {"SourceArn": one, "DestinationArn": other, "AssociationType": "Produced"}
    assert refused(sagemaker.add_association, SourceArn=one, DestinationArn=missing) == (
        "ResourceNotFound",
        f"{missing} does not exist.",
    )
    assert refused(sagemaker.add_association, SourceArn=one, DestinationArn=one)[0] == "ValidationException"
    sagemaker.add_association(**edge)
    sagemaker.add_association(**edge)
    code, message = refused(sagemaker.add_association, **edge | {"AssociationType": "SameAs"})
    assert (code, message.endswith("already, as Produced.")) == ("ValidationException", True)
    assert refused(sagemaker.delete_artifact, ArtifactArn=other)[0] == "ValidationException"
    ends = {"SourceArn": one, "DestinationArn": other}
    sagemaker.delete_association(**ends)
    assert refused(sagemaker.delete_association, **ends)[0] == "ResourceNotFound"
    sagemaker.delete_artifact(ArtifactArn=other)
