"""What SDK v2 users do with lineage: make, link, list, change and delete records. Prints RESULT and a JSON object."""

import json
import sys

from sagemaker.lineage.action import Action
from sagemaker.lineage.artifact import Artifact
from sagemaker.lineage.association import Association
from sagemaker.lineage.context import Context
from sagemaker.session import Session

prefix = sys.argv[1]
session = Session()
context = Context.create(
    context_name=f"{prefix}-project", source_uri="https://example.com/project", context_type="Project",
    properties={"owner": "team"}, sagemaker_session=session,
)  # fmt: skip
action = Action.create(
    action_name=f"{prefix}-training", source_uri="https://example.com/job/1", action_type="ModelTraining",
    status="InProgress", sagemaker_session=session,
)  # fmt: skip
dataset = Artifact.create(
    artifact_name=f"{prefix}-data", source_uri=f"s3://{prefix}/data.csv", artifact_type="DataSet",
    source_types=[{"SourceIdType": "S3ETag", "Value": "etag-1"}], sagemaker_session=session,
)  # fmt: skip
model = Artifact.create(
    artifact_name=f"{prefix}-model", source_uri=f"s3://{prefix}/model.tar.gz", artifact_type="Model",
    sagemaker_session=session,
)  # fmt: skip
for source, destination, kind in (
    (dataset.artifact_arn, action.action_arn, "ContributedTo"),
    (action.action_arn, model.artifact_arn, "Produced"),
    (action.action_arn, context.context_arn, "AssociatedWith"),
):
    Association.create(source_arn=source, destination_arn=destination, association_type=kind, sagemaker_session=session)
action.status = "Completed"
action.properties = {"loss": "0.25"}
action.save()
loaded = Action.load(action_name=action.action_name, sagemaker_session=session)
outgoing = list(Association.list(source_arn=action.action_arn, sagemaker_session=session))
found = list(Artifact.list(source_uri=f"s3://{prefix}/data.csv", sagemaker_session=session))
try:
    model.delete()
    refused = "it was deleted"
except Exception as error:
    refused = str(error)
for one in (dataset, model, action, context):
    one.delete(disassociate=True)
left = [a.artifact_arn for a in Artifact.list(sagemaker_session=session) if a.artifact_name.startswith(prefix)]
print(
    "RESULT",
    json.dumps(
        {
            "status": loaded.status,
            "properties": loaded.properties,
            "outgoing": sorted([o.association_type, o.destination_name, o.destination_type] for o in outgoing),
            "found": [artifact.artifact_name for artifact in found],
            "refused": refused,
            "left": left,
        }
    ),
)
