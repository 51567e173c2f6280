"""The account at a glance, whole, and the condition keys that its policies ask for."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from tests.aws.iam.serving import ACCOUNT, Caller

READ_ONLY = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"


def document(action: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def furnish(admin: Caller) -> str:
    admin.iam("CreateUser", UserName="alice", Tags=[{"Key": "Team", "Value": "red"}])
    admin.iam("PutUserPolicy", UserName="alice", PolicyName="own", PolicyDocument=document("s3:*"))
    admin.iam("CreateGroup", GroupName="team")
    admin.iam("AddUserToGroup", GroupName="team", UserName="alice")
    admin.iam("AttachGroupPolicy", GroupName="team", PolicyArn=READ_ONLY)
    made = admin.iam("CreatePolicy", PolicyName="mine", PolicyDocument=document("sqs:*"))["Policy"]["Arn"]
    admin.iam("CreatePolicyVersion", PolicyArn=made, PolicyDocument=document("sns:*"))
    return str(made)


def test_the_summary_counts_what_there_is_and_names_enforced_quotas(admin: Caller) -> None:
    before = admin.iam("GetAccountSummary")["SummaryMap"]
    furnish(admin)
    after = admin.iam("GetAccountSummary")["SummaryMap"]
    assert {key: after[key] - before[key] for key in after if after[key] != before[key]} == {
        "Users": 1,
        "Groups": 1,
        "Policies": 1,
        "PolicyVersionsInUse": 2,
    }
    assert (after["AccessKeysPerUserQuota"], after["GroupsPerUserQuota"], after["VersionsPerPolicyQuota"]) == (2, 10, 5)


def test_the_details_have_everything_that_hangs_on_everybody(admin: Caller) -> None:
    mine = furnish(admin)
    details = admin.iam("GetAccountAuthorizationDetails")
    (alice,) = details["UserDetailList"]
    assert alice["GroupList"] == ["team"]
    assert alice["Tags"] == [{"Key": "Team", "Value": "red"}]
    assert json.loads(unquote(alice["UserPolicyList"][0]["PolicyDocument"])) == json.loads(document("s3:*"))
    (team,) = details["GroupDetailList"]
    assert team["AttachedManagedPolicies"] == [{"PolicyName": "IAMReadOnlyAccess", "PolicyArn": READ_ONLY}]
    (role,) = details["RoleDetailList"]
    assert role["RoleName"] == "SageMakerRole"
    policies = {policy["Arn"]: policy for policy in details["Policies"]}
    assert [version["VersionId"] for version in policies[mine]["PolicyVersionList"]] == ["v2", "v1"]
    assert policies[READ_ONLY]["AttachmentCount"] == 1
    assert "arn:aws:iam::aws:policy/PowerUserAccess" not in policies


def test_the_details_by_kind_and_page_by_page(admin: Caller) -> None:
    mine = furnish(admin)
    only = admin.iam("GetAccountAuthorizationDetails", Filter=["LocalManagedPolicy"])
    assert [policy["Arn"] for policy in only["Policies"]] == [mine]
    assert only["RoleDetailList"] == []
    seen, marker = 0, {}
    while True:
        page = admin.iam("GetAccountAuthorizationDetails", MaxItems=1, **marker)
        seen += sum(len(items) for items in page.values() if isinstance(items, list))
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    whole = admin.iam("GetAccountAuthorizationDetails")
    assert seen == sum(len(items) for items in whole.values() if isinstance(items, list)) > 4


def test_the_keys_that_policies_ask_for(admin: Caller) -> None:
    condition = {"StringEquals": {"aws:RequestTag/Team": "${aws:PrincipalTag/Team}", "aws:requesttag/team": "x"}}
    asking = document("s3:*", Condition=condition)
    answer = admin.iam("GetContextKeysForCustomPolicy", PolicyInputList=[asking, document("sqs:*")])
    assert answer["ContextKeyNames"] == ["aws:PrincipalTag/Team", "aws:RequestTag/Team"]
    admin.iam("CreateUser", UserName="alice")
    admin.iam("PutUserPolicy", UserName="alice", PolicyName="own", PolicyDocument=asking)
    more = document("s3:*", Condition={"Null": {"s3:prefix": "true"}})
    arn = f"arn:aws:iam::{ACCOUNT}:user/alice"
    answer = admin.iam("GetContextKeysForPrincipalPolicy", PolicySourceArn=arn, PolicyInputList=[more])
    assert answer["ContextKeyNames"] == ["aws:PrincipalTag/Team", "aws:RequestTag/Team", "s3:prefix"]
