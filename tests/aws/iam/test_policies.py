"""Managed policies and their versions, as clients of the API see them."""

from __future__ import annotations

import json
from urllib.parse import unquote

from tests.aws.iam.serving import ACCOUNT, Caller

READING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
)
WRITING = READING.replace("Get", "Put")
ARN = f"arn:aws:iam::{ACCOUNT}:policy/team/Reading"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def create(admin: Caller) -> None:
    admin.iam("CreatePolicy", PolicyName="Reading", Path="/team/", PolicyDocument=READING, Description="d")


def test_a_policy_is_created_shown_and_deleted(admin: Caller) -> None:
    create(admin)
    shown = admin.iam("GetPolicy", PolicyArn=ARN)["Policy"]
    assert (shown["Arn"], shown["Path"], shown["Description"]) == (ARN, "/team/", "d")
    assert (shown["DefaultVersionId"], shown["AttachmentCount"], shown["IsAttachable"]) == ("v1", 0, True)
    version = admin.iam("GetPolicyVersion", PolicyArn=ARN, VersionId="v1")["PolicyVersion"]
    assert unquote(version["Document"]) == READING
    assert version["IsDefaultVersion"]
    error = admin.refused("iam", "CreatePolicy", PolicyName="reading", PolicyDocument=READING)
    assert (error.code, error.status) == ("EntityAlreadyExists", 409)
    assert error.message == "A policy called reading already exists. Duplicate names are not allowed."
    admin.iam("DeletePolicy", PolicyArn=ARN)
    error = admin.refused("iam", "GetPolicy", PolicyArn=ARN)
    assert (error.code, error.status, error.message) == ("NoSuchEntity", 404, f"Policy {ARN} was not found.")


def test_aws_policies_can_be_read_and_not_changed(admin: Caller) -> None:
    assert admin.iam("GetPolicy", PolicyArn=ADMIN)["Policy"]["PolicyName"] == "AdministratorAccess"
    document = admin.iam("GetPolicyVersion", PolicyArn=ADMIN, VersionId="v1")["PolicyVersion"]["Document"]
    assert json.loads(unquote(document))["Statement"] == [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    for operation, more in (
        ("DeletePolicy", {}),
        ("CreatePolicyVersion", {"PolicyDocument": READING}),
        ("DeletePolicyVersion", {"VersionId": "v1"}),
        ("SetDefaultPolicyVersion", {"VersionId": "v1"}),
    ):
        error = admin.refused("iam", operation, PolicyArn=ADMIN, **more)
        assert (error.code, error.status) == ("AccessDenied", 403)


def test_the_default_version_is_what_counts(admin: Caller) -> None:
    create(admin)
    admin.iam("AttachRolePolicy", RoleName="SageMakerRole", PolicyArn=ARN)
    for policy in ("AmazonS3FullAccess", "AmazonSageMakerFullAccess"):
        admin.iam("DetachRolePolicy", RoleName="SageMakerRole", PolicyArn=f"arn:aws:iam::aws:policy/{policy}")

    def may_put() -> str:
        role = f"arn:aws:iam::{ACCOUNT}:role/SageMakerRole"
        asked = admin.iam("SimulatePrincipalPolicy", PolicySourceArn=role, ActionNames=["s3:PutObject"])
        decision: str = asked["EvaluationResults"][0]["EvalDecision"]
        return decision

    assert may_put() == "implicitDeny"
    second = admin.iam("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=WRITING)["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", False)
    assert may_put() == "implicitDeny"
    admin.iam("SetDefaultPolicyVersion", PolicyArn=ARN, VersionId="v2")
    assert may_put() == "allowed"
    third = admin.iam("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=READING, SetAsDefault=True)
    assert third["PolicyVersion"]["IsDefaultVersion"]
    assert may_put() == "implicitDeny"
    versions = admin.iam("ListPolicyVersions", PolicyArn=ARN)["Versions"]
    assert [(found["VersionId"], found["IsDefaultVersion"]) for found in versions] == [
        ("v3", True),
        ("v2", False),
        ("v1", False),
    ]


def test_a_policy_has_five_versions_at_most_and_numbers_are_not_used_again(admin: Caller) -> None:
    create(admin)
    for _ in range(4):
        admin.iam("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=WRITING)
    error = admin.refused("iam", "CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=WRITING)
    assert (error.code, error.status) == ("LimitExceeded", 409)
    admin.iam("DeletePolicyVersion", PolicyArn=ARN, VersionId="v5")
    made = admin.iam("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=WRITING)["PolicyVersion"]
    assert made["VersionId"] == "v6"
    error = admin.refused("iam", "DeletePolicyVersion", PolicyArn=ARN, VersionId="v1")
    assert (error.code, error.message) == ("DeleteConflict", "Cannot delete the default version of a policy.")
    assert admin.refused("iam", "GetPolicyVersion", PolicyArn=ARN, VersionId="v5").code == "NoSuchEntity"


def test_a_policy_in_use_or_with_versions_cannot_be_deleted(admin: Caller) -> None:
    create(admin)
    admin.iam("AttachRolePolicy", RoleName="SageMakerRole", PolicyArn=ARN)
    assert admin.iam("GetPolicy", PolicyArn=ARN)["Policy"]["AttachmentCount"] == 1
    error = admin.refused("iam", "DeletePolicy", PolicyArn=ARN)
    assert (error.code, error.status) == ("DeleteConflict", 409)
    assert error.message == "Cannot delete a policy attached to entities."
    admin.iam("DetachRolePolicy", RoleName="SageMakerRole", PolicyArn=ARN)
    admin.iam("PutRolePermissionsBoundary", RoleName="SageMakerRole", PermissionsBoundary=ARN)
    assert admin.iam("GetPolicy", PolicyArn=ARN)["Policy"]["PermissionsBoundaryUsageCount"] == 1
    assert admin.refused("iam", "DeletePolicy", PolicyArn=ARN).code == "DeleteConflict"
    admin.iam("DeleteRolePermissionsBoundary", RoleName="SageMakerRole")
    admin.iam("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=WRITING)
    assert "more than one version" in admin.refused("iam", "DeletePolicy", PolicyArn=ARN).message
    admin.iam("DeletePolicyVersion", PolicyArn=ARN, VersionId="v2")
    admin.iam("DeletePolicy", PolicyArn=ARN)


def test_listing_by_scope_use_and_path(admin: Caller) -> None:
    create(admin)

    def names(**request: object) -> set[str]:
        return {policy["PolicyName"] for policy in admin.iam("ListPolicies", **request)["Policies"]}

    assert names(Scope="Local") == {"Reading"}
    assert "Reading" not in names(Scope="AWS")
    assert names() == names(Scope="AWS") | {"Reading"}
    assert names(PathPrefix="/team/") == {"Reading"}
    assert names(OnlyAttached=True) == {"AmazonS3FullAccess", "AmazonSageMakerFullAccess"}
    admin.iam("PutRolePermissionsBoundary", RoleName="SageMakerRole", PermissionsBoundary=ARN)
    assert names(OnlyAttached=True, PolicyUsageFilter="PermissionsBoundary") == {"Reading"}


def test_a_listing_in_pages_is_the_whole_listing(admin: Caller) -> None:
    create(admin)
    whole = [policy["Arn"] for policy in admin.iam("ListPolicies")["Policies"]]
    paged, request = [], {"MaxItems": 5}
    while True:
        page = admin.iam("ListPolicies", **request)
        paged += [policy["Arn"] for policy in page["Policies"]]
        if not page["IsTruncated"]:
            break
        request["Marker"] = page["Marker"]
    assert paged == whole
    assert len(whole) > 10


def test_malformed_and_over_long_documents_are_refused(admin: Caller) -> None:
    error = admin.refused("iam", "CreatePolicy", PolicyName="p", PolicyDocument="{}")
    assert (error.code, error.status) == ("MalformedPolicyDocument", 400)
    resources = [f"arn:aws:s3:::bucket-{number:06}/*" for number in range(300)]
    long = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": resources}]}
    )
    error = admin.refused("iam", "CreatePolicy", PolicyName="p", PolicyDocument=long)
    assert (error.code, error.message) == ("LimitExceeded", "Cannot exceed quota for PolicySize: 6144")
